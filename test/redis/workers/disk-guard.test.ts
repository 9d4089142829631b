import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Build } from '#domain/build'
import type { BuildId, ProjectName } from '#domain/ids'
import { createLogger } from '#host/log'
import type { Store } from '#store/contract'
import { openStore } from '#store/open-store'
import { createDiskGuard } from '../../../workers/disk-guard.ts'
import { serveQueue } from '../../../workers/serve-queue.ts'
import { noSecrets, orderOf, projectOf, workerId } from '../../core/store/orders.ts'
import { startRedis, type TestRedis } from '../../support/redis.ts'

const log = createLogger('test', 'silent')
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
  project = (await store.projects.create(projectOf(`acme/disk${count++}`), noSecrets)).name
})

/** A guard of a disk that says of itself what the test wants. */
function guardOf(freed: number | null) {
  const disk = { freeBytes: 0.8e9, totalBytes: 100e9 }
  let collections = 0
  const worker = workerId()
  const guard = createDiskGuard({
    store,
    worker,
    dataDir: '/var/lib/slipway',
    minFreeBytes: null,
    log,
    space: async () => disk,
    collect: async () => {
      collections++
      if (freed !== null) disk.freeBytes = freed
    },
  })
  return { guard, disk, worker, collections: () => collections }
}

async function queueOne(): Promise<BuildId> {
  const [build] = await store.builds.enqueue([orderOf(project)], Date.now())
  if (!build) throw new Error('nothing was queued')
  return build.id
}

async function until(id: BuildId, isWanted: (build: Build) => boolean): Promise<Build> {
  for await (const _ of store.builds.events(id, null, AbortSignal.timeout(10_000))) {
    const build = await store.builds.get(id)
    if (build && isWanted(build)) return build
  }
  throw new Error(`Build ${id} ended otherwise: ${JSON.stringify(await store.builds.get(id))}`)
}

test('a worker without space leaves builds queued and says why; with space it takes them by itself', async () => {
  const { guard, disk, worker } = guardOf(null)
  await guard.check()
  const ran: BuildId[] = []
  await using _queue = serveQueue({
    store,
    redisUrl: redis.url,
    worker,
    concurrency: 1,
    buildTimeoutMs: 60_000,
    guard,
    log,
    runBuild: async (claim) => {
      ran.push(claim.build.id)
      await store.builds.append(claim, [{ kind: 'finished', atMs: 1, status: 'succeeded', error: null }])
    },
  })
  const id = await queueOne()
  await guard.check()
  expect(await store.builds.get(id)).toMatchObject({
    status: 'queued',
    waitingFor: `disk space: worker ${worker} has 0.8 GB free on /var/lib/slipway, needs 2 GB; run slipway gc or make space there`,
  })
  expect(ran).toEqual([])
  disk.freeBytes = 3e9
  await guard.check()
  await until(id, ({ status }) => status === 'succeeded')
  expect(ran).toEqual([id])
})

test('garbage is collected first, and where that is enough nobody waits', async () => {
  const { guard, collections } = guardOf(5e9)
  const id = await queueOne()
  await guard.check()
  expect(guard.problem()).toBeNull()
  expect(collections()).toBe(1)
  expect((await store.builds.get(id))?.waitingFor).toBe('a free worker')
})

test('builds wait for other workers that have space', async () => {
  const { guard } = guardOf(null)
  const record = { host: 'h', version: 'v', startedAtMs: 1, seenAtMs: 2, capacity: 1, running: [] }
  const other = workerId()
  await store.workers.beat({ id: other, ...record }, 60_000)
  const id = await queueOne()
  await guard.check()
  expect((await store.builds.get(id))?.waitingFor).toBe('a free worker')
  await store.workers.beat({ id: other, ...record, problem: 'no space either' }, 60_000)
  await guard.check()
  expect((await store.builds.get(id))?.waitingFor).toMatch(/^disk space: worker /)
  await store.workers.leave(other)
})

test('a disk that stays full is not swept again at every look', async () => {
  const { guard, collections } = guardOf(null)
  for (let look = 0; look < 12; look++) await guard.check()
  expect(collections()).toBe(1)
  await guard.check()
  expect(collections()).toBe(2)
})

test.for([
  ['5 % of a small disk', 1e9, 20e9, null],
  ['2 GB of a large one', 1.9e9, 1000e9, 'needs 2 GB'],
] as const)('without a figure it is %s', async ([, freeBytes, totalBytes, expected]) => {
  const { guard, disk } = guardOf(null)
  Object.assign(disk, { freeBytes, totalBytes })
  await guard.check()
  if (expected === null) expect(guard.problem()).toBeNull()
  else expect(guard.problem()).toContain(expected)
})
