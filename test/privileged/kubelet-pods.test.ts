import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isReady, podOf, startNode, type TestNode, tracesOf } from './cluster-node.ts'

const OWNER = 'test-kubelet'
let node: TestNode
beforeAll(async () => {
  node = await startNode(OWNER)
})
afterAll(async () => {
  await node?.[Symbol.asyncDispose]()
})

const sh = (script: string) => ({ image: node.image, command: ['sh', '-c', script] })
/** A program that ends at SIGTERM: a shell as process 1 has to be told to. */
const patient = (script: string) => sh(`trap 'exit 0' TERM; ${script}; while true; do sleep 0.1; done`)

describe('a pod', () => {
  test('runs, is told of, and goes without a trace', async () => {
    const before = await tracesOf(node.dataDir, OWNER)
    await node.objects.create(podOf('plain', patient('echo hello from $HOSTNAME; echo oops >&2')))
    const pod = await node.untilPod('plain', isReady)
    expect(pod.spec.nodeName).toBe('node')
    expect(pod.status).toMatchObject({
      phase: 'Running',
      hostIP: '192.0.2.2',
      podIP: expect.stringMatching(/^10\./),
      containerStatuses: [
        {
          name: 'c',
          ready: true,
          started: true,
          restartCount: 0,
          imageID: expect.stringContaining('@sha256:'),
          state: { running: { startedAt: expect.any(String) } },
        },
      ],
    })
    await expect
      .poll(() => node.logOf('plain').then((text) => text.split('\n').sort()))
      .toEqual(['', 'hello from plain', 'oops'])
    expect(node.events('plain').map((text) => text.split(':')[0])).toEqual(
      expect.arrayContaining(['Scheduled', 'Pulling', 'Pulled', 'Created', 'Started']),
    )
    const podIps = [pod.status?.podIP ?? '']
    const during = await tracesOf(node.dataDir, OWNER, podIps)
    for (const kind of ['mounts', 'podAddresses', 'cgroups', 'pods'] as const)
      expect(during[kind].length, kind).toBeGreaterThan(before[kind].length)
    await node.objects.delete({ kind: 'Pod', namespace: 'default', name: 'plain' })
    await node.untilGone('plain')
    await expect.poll(() => tracesOf(node.dataDir, OWNER, podIps)).toEqual(before)
    expect(node.events('plain')).toContain('Killing: Stopping container c')
  })

  test('may use the image’s command, variables, volumes, users and limits', async () => {
    await node.objects.create({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'settings', namespace: 'default' },
      data: { colour: 'green' },
    })
    await node.objects.create({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'keys', namespace: 'default' },
      data: { key: Buffer.from('s3cret').toString('base64') },
    })
    const script =
      'id -u; echo $COLOUR $GREETING $FROM_IMAGE $POD; cat /config/colour; echo; cat /keys/key; echo; echo kept > /scratch/file; cat /scratch/file; echo last words > /dev/termination-log'
    const container = {
      ...sh(script),
      env: [
        { name: 'COLOUR', valueFrom: { configMapKeyRef: { name: 'settings', key: 'colour' } } },
        { name: 'GREETING', value: 'hello-$(COLOUR)' },
        { name: 'POD', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
      ],
      securityContext: { runAsUser: 1234 },
      resources: { limits: { memory: '64Mi', cpu: '500m' } },
      volumeMounts: [
        { name: 'config', mountPath: '/config' },
        { name: 'keys', mountPath: '/keys' },
        { name: 'scratch', mountPath: '/scratch' },
      ],
    }
    const volumes = [
      { name: 'config', configMap: { name: 'settings' } },
      { name: 'keys', secret: { secretName: 'keys' } },
      { name: 'scratch', emptyDir: {} },
    ]
    await node.objects.create(podOf('rich', container, { volumes, restartPolicy: 'Never' }))
    const pod = await node.untilPod('rich', ({ status }) => status?.phase === 'Succeeded' || status?.phase === 'Failed')
    expect(await node.logOf('rich')).toBe('1234\ngreen hello-green yes rich\ngreen\ns3cret\nkept\n')
    expect(pod.status).toMatchObject({
      phase: 'Succeeded',
      containerStatuses: [{ state: { terminated: { exitCode: 0, reason: 'Completed', message: 'last words\n' } } }],
    })
    expect(pod.status?.conditions?.map(({ type, status, reason }) => `${type}=${status}/${reason ?? ''}`)).toEqual([
      'Initialized=True/PodCompleted',
      'Ready=False/PodCompleted',
      'ContainersReady=False/PodCompleted',
      'PodScheduled=True/',
    ])
    await node.objects.delete({ kind: 'Pod', namespace: 'default', name: 'rich' })
    await node.untilGone('rich')
  })

  test('is ready only when its HTTP probe says so', async () => {
    const container = {
      ...sh('sleep 1; mkdir -p /www; exec httpd -f -p 8080 -h /www'),
      ports: [{ name: 'http', containerPort: 8080 }],
      readinessProbe: { httpGet: { path: '/index.html', port: 'http' }, periodSeconds: 10 },
    }
    const createdAtMs = Date.now()
    await node.objects.create(podOf('gated', container, { terminationGracePeriodSeconds: 1 }))
    const running = await node.untilPod('gated', ({ status }) => status?.phase === 'Running')
    expect(isReady(running)).toBe(false)
    await node.untilPod('gated', isReady, 8000)
    expect(Date.now() - createdAtMs).toBeGreaterThan(900)
    expect(node.events('gated').some((text) => text.startsWith('Unhealthy: Readiness probe failed'))).toBe(true)
    await node.objects.delete({ kind: 'Pod', namespace: 'default', name: 'gated' })
    await node.untilGone('gated')
  })

  test('backs off when it crashes, and keeps the log of the run before', async () => {
    await node.objects.create(podOf('crashing', sh('echo run; exit 3')))
    const pod = await node.untilPod(
      'crashing',
      ({ status }) => status?.containerStatuses?.[0]?.state?.waiting?.reason === 'CrashLoopBackOff',
    )
    expect(pod.status?.phase).toBe('Running')
    expect(pod.status?.containerStatuses?.[0]).toMatchObject({
      restartCount: 1,
      ready: false,
      state: {
        waiting: {
          message: expect.stringContaining('back-off 10s restarting failed container=c pod=crashing_default'),
        },
      },
      lastState: { terminated: { exitCode: 3, reason: 'Error' } },
    })
    expect(await node.logOf('crashing', 'c', true)).toBe('run\n')
    await node.objects.delete({ kind: 'Pod', namespace: 'default', name: 'crashing' })
    await node.untilGone('crashing')
  })

  test('is killed when its grace is over', async () => {
    await node.objects.create(podOf('stubborn', sh("trap '' TERM; while true; do sleep 0.1; done")))
    await node.untilPod('stubborn', isReady)
    const askedAtMs = Date.now()
    await node.objects.delete({ kind: 'Pod', namespace: 'default', name: 'stubborn' }, { gracePeriodSeconds: 2 })
    await node.untilGone('stubborn')
    const tookMs = Date.now() - askedAtMs
    expect(tookMs).toBeGreaterThan(1900)
    expect(tookMs).toBeLessThan(4500)
  })

  test('runs init containers first, one after the other', async () => {
    const scratch = { volumeMounts: [{ name: 's', mountPath: '/s' }] }
    const init = [1, 2].map((n) => ({ name: `i${n}`, ...sh(`echo ${n} >> /s/f`), ...scratch }))
    const pod = podOf(
      'ordered',
      { ...sh('cat /s/f'), ...scratch },
      {
        initContainers: init,
        volumes: [{ name: 's', emptyDir: {} }],
        restartPolicy: 'Never',
      },
    )
    await node.objects.create(pod)
    await node.untilPod('ordered', ({ status }) => status?.phase === 'Succeeded')
    expect(await node.logOf('ordered')).toBe('1\n2\n')
    await node.objects.delete({ kind: 'Pod', namespace: 'default', name: 'ordered' })
    await node.untilGone('ordered')
  })

  test.for([
    ['no-image', { image: '127.0.0.1:1/none:1' }, 'ErrImagePull', 'ECONNREFUSED'],
    ['no-program', { command: ['/no/such'] }, 'RunContainerError', '/no/such'],
    [
      'no-map',
      { env: [{ name: 'A', valueFrom: { configMapKeyRef: { name: 'nope', key: 'k' } } }] },
      'CreateContainerConfigError',
      'configmap "nope" not found',
    ],
  ] as const)('%s waits, and says why', async ([name, wrong, reason, part]) => {
    await node.objects.create(podOf(name, { ...sh('true'), ...wrong } as object))
    const pod = await node.untilPod(
      name,
      ({ status }) => status?.containerStatuses?.[0]?.state?.waiting?.reason === reason,
    )
    expect(pod.status?.containerStatuses?.[0]?.state?.waiting?.message).toContain(part)
    expect(isReady(pod)).toBe(false)
    await node.objects.delete({ kind: 'Pod', namespace: 'default', name })
    await node.untilGone(name)
  })

  test('may be deleted while its image is on the way', async () => {
    // A registry that takes the connection and never answers.
    const silent = createServer(() => {}).listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const { port } = silent.address() as AddressInfo
    await node.objects.create(podOf('waiting', { ...sh('true'), image: `127.0.0.1:${port}/none:1` }))
    await once(silent, 'connection')
    await node.objects.delete({ kind: 'Pod', namespace: 'default', name: 'waiting' })
    await node.untilGone('waiting', 3000)
    silent.close()
  })

  test('refuses directories of the host', async () => {
    const volumes = [{ name: 'host', hostPath: { path: '/etc' } }]
    await node.objects.create(podOf('nosy', sh('true'), { volumes }))
    await expect
      .poll(() => node.events('nosy'), { timeout: 5000 })
      .toContainEqual(expect.stringContaining('kind hostPath'))
    await node.objects.delete({ kind: 'Pod', namespace: 'default', name: 'nosy' })
    await node.untilGone('nosy')
  })
})

test('a liveness probe that fails restarts the container', async () => {
  const container = {
    ...patient('touch /tmp/ok; { sleep 1; rm /tmp/ok; } & true'),
    livenessProbe: {
      exec: { command: ['cat', '/tmp/ok'] },
      initialDelaySeconds: 1,
      periodSeconds: 1,
      failureThreshold: 1,
    },
  }
  await node.objects.create(podOf('sick', container))
  const pod = await node.untilPod('sick', ({ status }) => status?.containerStatuses?.[0]?.restartCount === 1)
  expect(pod.status?.containerStatuses?.[0]?.lastState?.terminated).toMatchObject({ exitCode: 0 })
  expect(node.events('sick')).toContain('Killing: Container c failed liveness probe, will be restarted')
  await node.objects.delete({ kind: 'Pod', namespace: 'default', name: 'sick' })
  await node.untilGone('sick')
})

test('too much memory is named as the reason', async () => {
  const eater = { ...sh('tail /dev/zero'), resources: { limits: { memory: '16Mi' } } }
  await node.objects.create(podOf('eater', eater, { restartPolicy: 'Never' }))
  const pod = await node.untilPod('eater', ({ status }) => status?.phase === 'Failed')
  expect(pod.status?.containerStatuses?.[0]?.state?.terminated).toMatchObject({ reason: 'OOMKilled', exitCode: 137 })
  await node.objects.delete({ kind: 'Pod', namespace: 'default', name: 'eater' })
  await node.untilGone('eater')
})

test('pods start again after the node did, and count no restart for it', async () => {
  await node.objects.create(podOf('lasting', patient('echo started')))
  const first = await node.untilPod('lasting', isReady)
  await node.restart()
  expect(node.objects.get('Pod', 'default', 'lasting')?.metadata.uid).toBe(first.metadata.uid)
  const idOf = (pod: typeof first) => pod.status?.containerStatuses?.[0]?.containerID
  const second = await node.untilPod('lasting', (pod) => isReady(pod) && idOf(pod) !== idOf(first))
  expect(second.status?.containerStatuses?.[0]?.restartCount).toBe(0)
  await node.objects.delete({ kind: 'Pod', namespace: 'default', name: 'lasting' })
  await node.untilGone('lasting')
})
