import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { ConfigMap, Pod, Secret } from '../../../cluster/kinds.ts'
import { countBusy, countEstablished } from '../../../cluster/kubelet/drain.ts'
import { composeEnvironment, type EnvironmentSources } from '../../../cluster/kubelet/environment.ts'
import { count, newTally } from '../../../cluster/kubelet/prober.ts'
import { composeProcess } from '../../../cluster/kubelet/process.ts'
import { projectVolume, writeProjection } from '../../../cluster/kubelet/projection.ts'
import type { Container } from '../../../cluster/pod-kinds.ts'

const configMap: ConfigMap = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'settings', namespace: 'default' },
  data: { COLOUR: 'green', file: 'text' },
}
const secret: Secret = {
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 'keys', namespace: 'default' },
  data: { KEY: 'c2VjcmV0' },
}
const sources: EnvironmentSources = {
  configMap: (name) => (name === 'settings' ? configMap : null),
  secret: (name) => (name === 'keys' ? secret : null),
  services: [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'my-db', namespace: 'default' },
      spec: { clusterIP: '10.96.0.9', ports: [{ name: 'sql', port: 5432 }] },
    },
  ],
  node: { name: 'node', ip: '192.0.2.2', capacity: { cpus: 4, memoryBytes: 2 ** 30 } },
  podIp: '10.0.0.7',
}
const podWith = (container: Partial<Container>): { pod: Pod; container: Container } => {
  const whole = { name: 'c', image: 'i', ...container }
  const metadata = { name: 'p', namespace: 'default', uid: 'u', labels: { app: 'web' } }
  return { pod: { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers: [whole] } }, container: whole }
}
const environmentOf = (container: Partial<Container>) => {
  const made = podWith(container)
  return Object.fromEntries(composeEnvironment(made.pod, made.container, sources))
}

describe('variables', () => {
  test('come from Services, maps, secrets and fields, and may name each other', () => {
    const variables = environmentOf({
      envFrom: [{ prefix: 'CM_', configMapRef: { name: 'settings' } }, { secretRef: { name: 'keys' } }],
      env: [
        { name: 'URL', value: 'http://$(MY_DB_SERVICE_HOST):$(MY_DB_SERVICE_PORT_SQL)/$(KEY)' },
        { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
        { name: 'APP', valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
        { name: 'CPUS', valueFrom: { resourceFieldRef: { resource: 'limits.cpu' } } },
        { name: 'MAYBE', valueFrom: { secretKeyRef: { name: 'none', key: 'k', optional: true } } },
      ],
      resources: { limits: { cpu: '1500m' } },
    })
    expect(variables).toMatchObject({
      CM_COLOUR: 'green',
      KEY: 'secret',
      URL: 'http://10.96.0.9:5432/secret',
      IP: '10.0.0.7',
      APP: 'web',
      CPUS: '2',
    })
    expect(variables).not.toHaveProperty('MAYBE')
  })

  test.for([
    [{ valueFrom: { configMapKeyRef: { name: 'nope', key: 'k' } } }, 'configmap "nope" not found'],
    [{ valueFrom: { secretKeyRef: { name: 'keys', key: 'k' } } }, 'couldn\'t find key k in secret "keys"'],
    [{ valueFrom: { fieldRef: { fieldPath: 'spec.nothing' } } }, 'unsupported fieldPath: spec.nothing'],
  ] as const)('that cannot be had are named: %#', ([variable, message]) =>
    expect(() => environmentOf({ env: [{ name: 'A', ...variable }] })).toThrow(message),
  )
})

describe('the command', () => {
  const image = {
    architecture: 'amd64',
    os: 'linux',
    config: {
      Entrypoint: ['/entry'],
      Cmd: ['default'],
      Env: ['PATH=/image', 'A=image'],
      WorkingDir: '/srv',
      User: '5:6',
    },
    rootfs: { type: 'layers' as const, diff_ids: [] },
  }
  const processOf = (container: Partial<Container>) => {
    const made = podWith(container)
    return composeProcess(made.pod, made.container, { image, variables: new Map([['WHO', 'me']]), rootDir: '/nowhere' })
  }

  test.for([
    ['the image’s', {}, ['/entry', 'default']],
    ['args replace CMD', { args: ['$(WHO)'] }, ['/entry', 'me']],
    ['command replaces both', { command: ['run', '$$(WHO)'] }, ['run', '$(WHO)']],
    ['command and args', { command: ['run'], args: ['x'] }, ['run', 'x']],
  ] as const)('%s', ([, container, args]) => expect(processOf(container as Partial<Container>).args).toEqual(args))

  test('has the image’s user, directory and variables beneath the pod’s', () => {
    const process = processOf({ resources: { limits: { memory: '64Mi', cpu: '250m' } } })
    expect(process).toMatchObject({ workingDir: '/srv', user: { uid: 5, gid: 6 }, readonlyRoot: false })
    expect(process.limits).toMatchObject({ memoryBytes: 64 * 2 ** 20, cpus: 0.25 })
    expect(process.env).toEqual(['PATH=/image', 'HOSTNAME=p', 'A=image', 'WHO=me'])
  })

  test('refuses root where the pod does', () =>
    expect(() => processOf({ securityContext: { runAsUser: 0, runAsNonRoot: true } })).toThrow('runAsNonRoot'))
})

test('a volume’s files change all at once, and vanish with their keys', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'slip-volume-'))
  const volume = { name: 'v', configMap: { name: 'settings' } }
  const write = (map: ConfigMap | null) =>
    writeProjection(dir, projectVolume(volume, 'default', { get: () => map as never }))
  try {
    await write(configMap)
    expect(await readFile(join(dir, 'file'), 'utf8')).toBe('text')
    await write({ ...configMap, data: { COLOUR: 'blue' } })
    expect(await readFile(join(dir, 'COLOUR'), 'utf8')).toBe('blue')
    expect((await readdir(dir)).filter((name) => !name.startsWith('..'))).toEqual(['COLOUR'])
    expect((await readdir(dir)).filter((name) => name.startsWith('..2')).length).toBe(1)
    expect(() => projectVolume(volume, 'default', { get: () => null })).toThrow('configmap "settings" not found')
    const leaving = { name: 'v', configMap: { name: 'settings', items: [{ key: 'file', path: '../x' }] } }
    expect(() => projectVolume(leaving, 'default', { get: () => configMap as never })).toThrow('leaves the volume')
  } finally {
    await rm(dir, { recursive: true })
  }
})

test.for([
  ['one success is enough', [true], true],
  ['two failures are not', [true, false, false], true],
  ['three in a row are', [true, false, false, false], false],
  ['errors do not count', [true, false, null, false], true],
  ['a success starts anew', [true, false, false, true, false, false], true],
] as const)('probes: %s', ([, outcomes, verdict]) => {
  const outcomeOf = (success: boolean | null) =>
    success === null
      ? { kind: 'error' as const, message: '' }
      : success
        ? { kind: 'success' as const }
        : { kind: 'failure' as const, message: '' }
  const tally = outcomes.reduce((before, success) => count(before, outcomeOf(success), {}), newTally(false))
  expect(tally.verdict).toBe(verdict)
})

test('counts connections to a pod’s ports that are open', () => {
  const table = `  sl  local_address rem_address   st tx_queue
   0: 00000000:1F90 00000000:0000 0A 00000000
   1: 0700000A:1F90 0100000A:C350 01 00000000
   2: 0700000A:1F90 0100000A:C351 06 00000000
   3: 0700000A:0050 0100000A:C352 01 00000000
`
  expect(countEstablished(table, new Set([8080]))).toBe(1)
  expect(countEstablished(table, new Set([8080, 80]))).toBe(2)
  expect(countEstablished('', new Set([80]))).toBe(0)
})

test.for([
  [
    'a request that waits for its answer',
    '0 0 10.0.0.7:8080 10.0.0.1:5 cubic lastsnd:900 lastrcv:300 lastack:300',
    0,
    1,
  ],
  ['an answer just given', '0 0 10.0.0.7:8080 10.0.0.1:5 cubic lastsnd:10 lastrcv:30 lastack:10', 200, 1],
  ['the same, when we are in a hurry', '0 0 10.0.0.7:8080 10.0.0.1:5 cubic lastsnd:10 lastrcv:30 lastack:10', 0, 0],
  ['an idle connection', '0 0 [::ffff:10.0.0.7]:8080 [::ffff:10.0.0.1]:5 cubic lastsnd:5000 lastrcv:5010', 200, 0],
  ['bytes that wait', '0 1448 10.0.0.7:8080 10.0.0.1:5 cubic lastsnd:5000 lastrcv:5010', 0, 1],
  ['another port', '0 1448 10.0.0.7:22 10.0.0.1:5 cubic lastsnd:5 lastrcv:1', 200, 0],
] as const)('busy or not: %s', ([, line, silentMs, busy]) =>
  expect(countBusy(`${line}\n`, new Set([8080]), silentMs)).toBe(busy),
)
