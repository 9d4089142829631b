import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { BuildEvent } from '#domain/build-event'
import { SlipwayError } from '#domain/errors'
import { type ProjectName, RolloutId } from '#domain/ids'
import type { Rollout } from '#domain/rollout'
import { createLogger } from '#host/log'
import { newId } from '#host/new-id'
import type { Store } from '#store/contract'
import { openStore } from '#store/open-store'
import { setImage } from '../../../workers/deployment-image.ts'
import type { Cluster, Deployment, Pod } from '../../../workers/kubernetes.ts'
import { runRollout } from '../../../workers/run-rollout.ts'
import { serveRollouts } from '../../../workers/serve-rollouts.ts'
import { noSecrets, orderOf, projectOf, workerId } from '../../core/store/orders.ts'
import { startRedis, type TestRedis } from '../../support/redis.ts'
import { digestOf } from './fake-build.ts'

let redis: TestRedis
let store: Store
let project: ProjectName
let count = 0

beforeAll(async () => {
  redis = await startRedis()
  store = await openStore(redis.url)
})
afterAll(async () => {
  await store[Symbol.asyncDispose]()
  await redis[Symbol.asyncDispose]()
})
beforeEach(async () => {
  project = (await store.projects.create(projectOf(`acme/web${count++}`), noSecrets)).name
})

const forever = new AbortController().signal
const OLD = 'registry.test/web@sha256:old'

/** A cluster of one Deployment whose pods come up, or break, as soon as the image is set. */
class OneDeployment implements Cluster {
  deployment: Deployment | null = {
    metadata: { name: 'web', generation: 1, annotations: {} },
    spec: {
      replicas: 1,
      selector: { matchLabels: { app: 'web' } },
      template: { spec: { containers: [{ name: 'web', image: OLD }] } },
    },
    status: { observedGeneration: 1, replicas: 1, updatedReplicas: 1, availableReplicas: 1 },
  }
  readonly images: string[] = []
  failuresLeft = 0
  failingPatches: number[] = []
  #patches = 0
  #isBroken: boolean
  #onChange: () => void = () => {}

  constructor(isBroken = false) {
    this.#isBroken = isBroken
  }

  async getDeployment(): Promise<Deployment | null> {
    if (this.failuresLeft-- > 0) throw new SlipwayError('unavailable', 'the cluster is away')
    return this.deployment
  }

  async patchDeployment(_namespace: string, _name: string, patch: object): Promise<Deployment> {
    if (this.failingPatches.includes(this.#patches++)) throw new SlipwayError('unavailable', 'the cluster is away')
    const { metadata, spec } = patch as Deployment
    const image = spec!.template.spec!.containers[0]!.image!
    this.images.push(image)
    const before = this.deployment!
    before.metadata!.annotations = { ...before.metadata!.annotations, ...metadata!.annotations }
    before.metadata!.generation!++
    before.spec!.template.spec!.containers[0]!.image = image
    queueMicrotask(() => {
      before.status!.observedGeneration = before.metadata!.generation!
      this.#onChange()
    })
    return structuredClone(before)
  }

  async listPods(): Promise<Pod[]> {
    const image = this.deployment!.spec!.template.spec!.containers[0]!.image!
    if (image === OLD) return []
    const waiting = { reason: 'CrashLoopBackOff' }
    const status = { name: 'web', image, imageID: '', ready: false, restartCount: 1, state: { waiting } }
    const pod = { metadata: { name: 'web-1' }, spec: { containers: [{ name: 'web', image }] } }
    return this.#isBroken ? [{ ...pod, status: { containerStatuses: [status] } }] : []
  }

  async readLog(): Promise<string> {
    return 'starting\ncannot find the database\n'
  }

  async listWarnings(): Promise<string[]> {
    return ['Back-off restarting failed container', 'Readiness probe failed: refused', 'Back-off restarting']
  }

  breakPods(): void {
    this.#isBroken = true
    this.#onChange()
  }

  watch(_namespace: string, _name: string, onChange: () => void): Disposable {
    this.#onChange = onChange
    return { [Symbol.dispose]: () => {} }
  }
}

async function requestOne(): Promise<Rollout> {
  const [build] = await store.builds.enqueue([orderOf(project)], 1)
  const claim = (await store.builds.claim(build!.id, workerId(), 60_000, 1))!
  const digest = digestOf(build!.id)
  const { rollout } = await store.rollouts.request({
    id: RolloutId.parse(newId('rol')),
    project,
    build: build!.id,
    target: { namespace: 'default', deployment: `web${count}`, container: 'web' },
    image: `registry.test/web@${digest}`,
    digest,
    status: 'pending',
    message: '',
    replicas: { desired: 0, updated: 0, ready: 0, available: 0 },
    requestedAtMs: 1,
    startedAtMs: null,
    finishedAtMs: null,
  })
  await store.builds.append(claim, [
    { kind: 'rollout-requested', atMs: 1, rollout: rollout.id, target: 'x' },
    { kind: 'finished', atMs: 1, status: 'succeeded', error: null },
  ])
  return rollout
}

async function progressOf(rollout: Rollout): Promise<string[]> {
  const statuses: string[] = []
  for await (const { event } of store.builds.events(rollout.build, null, forever))
    if (event.kind === ('rollout-progressed' satisfies BuildEvent['kind'])) statuses.push(event.status)
  return statuses
}

async function runOn(cluster: Cluster, rollout: Rollout, soakMs = 0): Promise<Rollout> {
  const claimed = (await store.rollouts.claim(workerId(), 60_000, 1))!
  await runRollout({ store, openCluster: async () => cluster, now: Date.now, soakMs }, claimed, forever)
  return (await store.rollouts.get(rollout.id))!
}

test('an image goes live by digest, and its build is told', async () => {
  const cluster = new OneDeployment()
  const rollout = await requestOne()
  expect(await runOn(cluster, rollout)).toMatchObject({
    status: 'succeeded',
    message: '1 of 1 pods run the new image',
    finishedAtMs: expect.any(Number),
  })
  expect(cluster.images).toEqual([rollout.image])
  expect(cluster.deployment!.metadata!.annotations).toMatchObject({
    'slipway.dev/build': rollout.build,
    'kubernetes.io/change-cause': expect.stringContaining(rollout.image),
  })
  expect((await progressOf(rollout)).at(-1)).toBe('succeeded')
  expect(await store.rollouts.lastVerified(rollout.target)).toBe(rollout.digest)
})

test('an image that crashes is rolled back to the one before', async () => {
  const cluster = new OneDeployment(true)
  const rollout = await requestOne()
  expect(await runOn(cluster, rollout)).toMatchObject({
    status: 'rolled-back',
    message: expect.stringMatching(
      /CrashLoopBackOff.*; Readiness probe failed: refused; last lines of its log:\nstarting\ncannot find the database\nWent back to registry.test\/web@sha256:old: 1 of 1 pods of it are available/,
    ),
  })
  expect(cluster.images).toEqual([rollout.image, OLD])
  expect((await progressOf(rollout)).at(-1)).toBe('rolled-back')
  expect(await store.rollouts.lastVerified(rollout.target)).toBeNull()
})

test('an image that crashes just after it was available is rolled back too', async () => {
  const cluster = new OneDeployment()
  const rollout = await requestOne()
  const running = runOn(cluster, rollout, 200)
  await expect.poll(async () => (await store.rollouts.get(rollout.id))?.message).toContain('1 of 1 pods')
  cluster.breakPods()
  expect(await running).toMatchObject({ status: 'rolled-back' })
})

test('a rollout that a dead worker began still knows what to go back to', async () => {
  const cluster = new OneDeployment(true)
  const rollout = await requestOne()
  const annotations = { 'slipway.dev/previous-image': OLD }
  const template = { spec: { containers: [{ name: 'web', image: rollout.image }] } }
  await cluster.patchDeployment('default', 'web', { metadata: { annotations }, spec: { template } })
  expect(await runOn(cluster, rollout)).toMatchObject({ status: 'rolled-back' })
  expect(cluster.images.at(-1)).toBe(OLD)
})

test('a rollout that a dead worker had rolled back ends, and is not tried again', async () => {
  const cluster = new OneDeployment()
  const rollout = await requestOne()
  cluster.deployment!.metadata!.annotations!['slipway.dev/rolled-back'] = rollout.id
  await store.rollouts.update(rollout.id, { message: `It crashed\nGoing back to ${OLD}` })
  expect(await runOn(cluster, rollout)).toMatchObject({
    status: 'rolled-back',
    message: `It crashed\nWent back to ${OLD}: 1 of 1 pods of it are available`,
  })
  expect(cluster.images).toEqual([])
})

test('a Deployment or a container that is not there fails with what to do', async () => {
  const none = new OneDeployment()
  none.deployment = null
  expect(await runOn(none, await requestOne())).toMatchObject({
    status: 'failed',
    message: expect.stringContaining('kubectl apply'),
  })
  const other = new OneDeployment()
  other.deployment!.spec!.template.spec!.containers[0]!.name = 'nginx'
  count++
  expect(await runOn(other, await requestOne())).toMatchObject({
    status: 'failed',
    message: expect.stringContaining('no container web, only nginx'),
  })
})

test('a cluster that is away for a moment is waited for', async () => {
  const cluster = new OneDeployment()
  cluster.failuresLeft = 2
  expect(await runOn(cluster, await requestOne())).toMatchObject({ status: 'succeeded' })
})

test('a cluster that is away when the image is to be set, or to be taken back, is asked again', async () => {
  const cluster = new OneDeployment(true)
  cluster.failingPatches = [0, 2]
  const rollout = await requestOne()
  expect(await runOn(cluster, rollout)).toMatchObject({ status: 'rolled-back' })
  expect(cluster.images).toEqual([rollout.image, OLD])
})

test('rollouts are served as they are requested, and left to the next worker by a stop', async () => {
  const log = createLogger('test', 'silent')
  const stop = new AbortController()
  const begun = Promise.withResolvers<void>()
  const serving = serveRollouts(
    {
      store,
      worker: workerId(),
      log,
      runRollout: async (_rollout, signal) => {
        begun.resolve()
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
      },
    },
    stop.signal,
  )
  const rollout = await requestOne()
  await begun.promise
  stop.abort()
  await serving
  expect(await runOn(new OneDeployment(), rollout)).toMatchObject({ status: 'succeeded' })
})

test('a newer image ends the rollout before it at once, and is never rolled back to what was untried', async () => {
  const cluster = new OneDeployment()
  const stop = new AbortController()
  const stopped: string[] = []
  const older = await requestOne()
  const begun = Promise.withResolvers<void>()
  const serving = serveRollouts(
    {
      store,
      worker: workerId(),
      log: createLogger('test', 'silent'),
      runRollout: async (rollout, signal) => {
        if (rollout.id === older.id) {
          const { deployment } = cluster
          await setImage(cluster, { deployment: deployment!, verified: null }, rollout, signal)
          begun.resolve()
          await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
          stopped.push(rollout.id)
        } else {
          cluster.breakPods()
          await runRollout({ store, openCluster: async () => cluster, now: Date.now, soakMs: 0 }, rollout, signal)
        }
      },
    },
    stop.signal,
  )
  await begun.promise
  const newer = await requestOne()
  await expect.poll(async () => (await store.rollouts.get(newer.id))?.status).toBe('rolled-back')
  expect(stopped).toEqual([older.id])
  expect((await store.rollouts.get(older.id))?.status).toBe('superseded')
  expect(cluster.images).toEqual([older.image, newer.image, OLD])
  stop.abort()
  await serving
})
