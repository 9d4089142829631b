import { expect, test } from 'vitest'
import { type BuiltGraph, DEFAULT_RUN_SETTINGS, type ProvenanceSettings } from '#buildkit-lite'
import { parseImageReference } from '#domain/image-reference'
import { provenanceOf } from '../../../buildkit-lite/attest/provenance.ts'
import { imagePurl } from '../../../buildkit-lite/attest/purl.ts'
import type { RunOperation } from '../../../buildkit-lite/plan/plan.ts'
import { gitOrigin, withoutSecrets } from '../../../buildkit-lite/remote/origin.ts'

const never = new AbortController().signal
const digest = `sha256:${'a'.repeat(64)}`

const run: RunOperation = {
  kind: 'run',
  input: 0,
  args: ['/bin/sh', '-c', 'make'],
  env: ['TOKEN=abc'],
  proxyEnv: [],
  workingDir: '/src',
  user: '',
  network: 'default',
  security: 'sandbox',
  hostname: 'step',
  mounts: [
    { kind: 'secret', id: 'npmrc', target: '/s', env: null, required: true, mode: 0o400, uid: 0, gid: 0 },
    { kind: 'ssh', id: 'default', target: '/a', required: false, mode: 0o600, uid: 0, gid: 0 },
  ],
  scripts: [],
}

/** A build of one image and one command, in a directory unless it says otherwise. */
function graphOf(request: object = {}, network: RunOperation['network'] = 'default'): BuiltGraph {
  const config = { os: 'linux', architecture: 'arm64', variant: 'v8', rootfs: { type: 'layers', diff_ids: [] } }
  const image = { reference: 'docker.io/library/debian:12', manifestDigest: digest, config, layers: [], source: '' }
  const source = { kind: 'http', url: 'https://u:p@h.test/f', checksum: null }
  const copy = { kind: 'copy', input: 1, from: { kind: 'context', name: null }, sources: [source], destination: '/f' }
  const steps = [{ kind: 'base', image }, { ...run, network }, copy]
  return {
    request: {
      context: {},
      namedContexts: {},
      dockerfile: { path: 'Dockerfile' },
      target: 'app',
      buildArgs: { TOKEN: 'abc' },
      labels: {},
      useCache: true,
      noCacheStages: [],
      network: 'default',
      secrets: { npmrc: Buffer.from('hidden') },
      run: DEFAULT_RUN_SETTINGS,
      ...request,
    },
    platform: { os: 'linux', architecture: 'arm64' },
    plan: { steps: steps.map((operation, index) => ({ stage: 'app', title: '', line: index + 1, operation })) },
    solved: steps.map(() => ({ chain: { layers: [], id: null } })),
    source: { name: 'Dockerfile', text: 'FROM debian:12\n' },
    remote: { origin: async () => ({ uri: 'https://h.test/f', digest: { sha256: 'f00d' } }) },
    invocationId: 'one',
    startedAtMs: 0,
    finishedAtMs: 1500,
  } as unknown as BuiltGraph
}

const settings: ProvenanceSettings = { mode: 'max', version: 'v0.2', builderId: 'me', reproducible: true }
const predicateOf = async (change: Partial<ProvenanceSettings>, graph = graphOf()) =>
  (await provenanceOf(graph, { ...settings, ...change }, never)).predicate

test('at length: arguments, steps, source, and ids of secrets without their values', async () => {
  const predicate = await predicateOf({})
  expect(predicate).toMatchObject({
    builder: { id: 'me' },
    buildType: 'https://mobyproject.org/buildkit@v1',
    materials: [
      { uri: 'pkg:docker/debian@12?platform=linux%2Farm64', digest: { sha256: 'a'.repeat(64) } },
      { uri: 'https://h.test/f', digest: { sha256: 'f00d' } },
    ],
    invocation: {
      configSource: { entryPoint: 'Dockerfile' },
      parameters: {
        args: { 'build-arg:TOKEN': 'abc', target: 'app' },
        secrets: [{ id: 'npmrc' }],
        ssh: [{ id: 'default', optional: true }],
        locals: [{ name: 'context' }, { name: 'dockerfile' }],
      },
    },
    buildConfig: { llbDefinition: [{ id: 'step0' }, { id: 'step1', inputs: ['step0:0'] }, { id: 'step2' }] },
    metadata: {
      buildInvocationID: 'one',
      buildStartedOn: '1970-01-01T00:00:00.000Z',
      buildFinishedOn: '1970-01-01T00:00:01.500Z',
      completeness: { parameters: true, environment: true, materials: false },
      reproducible: true,
      'https://mobyproject.org/buildkit@v1#metadata': { source: { infos: [{ filename: 'Dockerfile' }] } },
    },
  })
  const text = JSON.stringify(predicate)
  expect(text).not.toContain('hidden')
  expect(text).not.toContain('u:p@')
})

test('in short: no arguments, mounts, steps and source', async () => {
  const predicate = await predicateOf({ mode: 'min' })
  expect(JSON.stringify(predicate)).not.toMatch(/abc|npmrc|llbDefinition|infos/)
  expect(predicate).toMatchObject({
    materials: [{ uri: 'pkg:docker/debian@12?platform=linux%2Farm64' }, { uri: 'https://h.test/f' }],
    invocation: { parameters: { frontend: 'dockerfile.v0', args: { target: 'app' } } },
    metadata: { completeness: { parameters: false } },
  })
})

test('the first version tells the same under its own names', async () => {
  const one = await provenanceOf(graphOf(), { ...settings, version: 'v1' }, never)
  expect(one.predicateType).toBe('https://slsa.dev/provenance/v1')
  expect(one.predicate).toMatchObject({
    buildDefinition: {
      externalParameters: { configSource: { path: 'Dockerfile' }, request: { secrets: [{ id: 'npmrc' }] } },
      internalParameters: { buildConfig: {} },
      resolvedDependencies: [{ uri: 'pkg:docker/debian@12?platform=linux%2Farm64' }, { uri: 'https://h.test/f' }],
    },
    runDetails: {
      builder: { id: 'me' },
      metadata: {
        startedOn: '1970-01-01T00:00:00.000Z',
        buildkit_completeness: { request: true, resolvedDependencies: false },
        buildkit_hermetic: false,
        buildkit_reproducible: true,
      },
    },
  })
})

test('a build from a repository is complete, and hermetic without a network', async () => {
  const origin = gitOrigin({ url: 'https://me:pass@h.test/a.git', ref: 'main', commit: 'b'.repeat(40) })
  const more = { uri: 'https://h.test/b.git', digest: { sha1: 'c'.repeat(40) } }
  const namedContexts = { b: { kind: 'context', context: { origin: more } } }
  const graph = graphOf({ context: { origin }, namedContexts }, 'none')
  expect(await predicateOf({ mode: 'min' }, graph)).toMatchObject({
    materials: [{}, {}, { uri: 'https://h.test/a.git#main', digest: { sha1: 'b'.repeat(40) } }, more],
    invocation: {
      configSource: { uri: 'https://h.test/a.git#main', digest: { sha1: 'b'.repeat(40) }, entryPoint: 'Dockerfile' },
    },
    metadata: { completeness: { materials: true }, 'https://mobyproject.org/buildkit@v1#hermetic': true },
  })
})

test.for([
  ['alpine', 'pkg:docker/alpine@latest?platform=linux%2Famd64'],
  ['moby/buildkit:v1', 'pkg:docker/moby/buildkit@v1?platform=linux%2Famd64'],
  ['127.0.0.1:5000/a/b/c:x', 'pkg:docker/127.0.0.1%3A5000/a/b/c@x?platform=linux%2Famd64'],
  [`alpine@${digest}`, `pkg:docker/alpine?digest=${encodeURIComponent(digest)}&platform=linux%2Famd64`],
] as const)('the package URL of %s', ([name, purl]) => {
  expect(imagePurl(parseImageReference(name), { os: 'linux', architecture: 'amd64' })).toBe(purl)
})

test.for([
  ['https://user:pass@h.test/x?y=1', 'https://h.test/x?y=1'],
  ['https://h.test/x', 'https://h.test/x'],
  ['git@h.test:a/b.git', 'git@h.test:a/b.git'],
] as const)('%s is told as %s', ([address, told]) => {
  expect(withoutSecrets(address)).toBe(told)
})
