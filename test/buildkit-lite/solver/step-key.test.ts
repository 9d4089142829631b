import { expect, test } from 'vitest'
import type { CopyOperation, RunOperation } from '../../../buildkit-lite/plan/plan.ts'
import { type KeyContext, stepKey } from '../../../buildkit-lite/solver/step-key.ts'

const context: KeyContext = {
  subject: 'test',
  stage: 'build',
  position: 1,
  platform: { os: 'linux', architecture: 'amd64' },
  hostNames: [],
  run: { shmSizeBytes: null, ulimits: [] },
}
const run: RunOperation = {
  kind: 'run',
  input: 0,
  args: ['/bin/sh', '-c', 'npm ci'],
  env: ['A=1', 'B=2', 'HTTP_PROXY=http://p'],
  proxyEnv: ['HTTP_PROXY'],
  workingDir: '/app',
  user: '',
  network: 'default',
  security: 'sandbox',
  hostname: 'step',
  mounts: [{ kind: 'cache', id: 'npm', target: '/c', sharing: 'shared', readonly: false, mode: 0o755, uid: 0, gid: 0 }],
  scripts: [],
}
const parent = [{ name: 'parent', digest: 'sha256:p' }]
const keyOf = (change: Partial<RunOperation>, more: Partial<KeyContext> = {}, inputs = parent) =>
  stepKey({ ...run, ...change }, inputs, { ...context, ...more }).key

test.for<[string, Partial<RunOperation>]>([
  ['the command', { args: ['/bin/sh', '-c', 'npm  ci'] }],
  ['the order of the environment', { env: ['B=2', 'A=1', 'HTTP_PROXY=http://p'] }],
  ['a value of the environment', { env: ['A=1', 'B=3', 'HTTP_PROXY=http://p'] }],
  ['a declared proxy', { proxyEnv: [] }],
  ['the working directory', { workingDir: '/' }],
  ['the user', { user: 'app' }],
  ['the network', { network: 'none' }],
  ['a mount’s target', { mounts: [{ kind: 'tmpfs', target: '/c', sizeBytes: null }] }],
  ['the size of a mount in memory', { mounts: [{ kind: 'tmpfs', target: '/c', sizeBytes: 1 }] }],
  ['every privilege', { security: 'insecure' }],
  ['the host’s name', { hostname: 'other' }],
  ['a device', { devices: [{ name: 'acme.com/gpu=0', required: true }] }],
  ['a script', { scripts: [{ name: 'EOF', content: '#!/bin/sh' }] }],
])('%s makes another key', ([, change]) => {
  expect(keyOf(change)).not.toBe(keyOf({}))
})

test.for<[string, Partial<RunOperation>]>([
  ['the value of an undeclared proxy', { env: ['A=1', 'B=2', 'HTTP_PROXY=http://q'] }],
  ['how a cache is shared', { mounts: [{ ...run.mounts[0]!, sharing: 'locked' } as RunOperation['mounts'][number]] }],
])('%s does not matter', ([, change]) => {
  expect(keyOf(change)).toBe(keyOf({}))
})

test('names of added hosts, sizes, platform and parent matter; the place does not', () => {
  const keys = [
    keyOf({}),
    keyOf({}, { hostNames: ['db'] }),
    keyOf({}, { run: { shmSizeBytes: 1 << 20, ulimits: [] } }),
    keyOf({}, { run: { shmSizeBytes: null, ulimits: [{ name: 'nofile', soft: 1, hard: 2 }] } }),
    keyOf({}, { platform: { os: 'linux', architecture: 'arm64' } }),
    keyOf({}, {}, [{ name: 'parent', digest: 'sha256:q' }]),
  ]
  expect(new Set(keys).size).toBe(keys.length)
  expect(keyOf({}, { position: 9, stage: 'other' })).toBe(keyOf({}))
})

const copy: CopyOperation = {
  kind: 'copy',
  input: 0,
  from: { kind: 'context', name: null },
  sources: [{ kind: 'path', path: 'a/f' }],
  destination: '/x',
  chown: null,
  chmod: null,
  link: false,
  parents: false,
  exclude: [],
  unpack: 'never',
}
const copyKey = (change: Partial<CopyOperation>) => stepKey({ ...copy, ...change }, parent, context).key

test.for<[string, Partial<CopyOperation>]>([
  ['destination', { destination: '/y' }],
  ['chown', { chown: '1' }],
  ['chmod', { chmod: '755' }],
  ['link', { link: true }],
  ['a heredoc’s body', { sources: [{ kind: 'inline', name: 'a', content: 'b' }] }],
])('COPY’s %s matters', ([, change]) => {
  expect(copyKey(change)).not.toBe(copyKey({}))
})

test('the directory that a source is reached through does not matter', () => {
  expect(copyKey({ sources: [{ kind: 'path', path: 'b/f' }] })).toBe(copyKey({}))
})
