import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Build } from '#domain/build'
import type { BuildEvent } from '#domain/build-event'
import { SlipwayError } from '#domain/errors'
import type { BuildId, ProjectName } from '#domain/ids'
import { createLogger } from '#host/log'
import type { Claim, Store } from '#store/contract'
import { openStore } from '#store/open-store'
import { type QueueOptions, serveQueue } from '../../../workers/serve-queue.ts'
import { noSecrets, orderOf, projectOf, workerId } from '../../core/store/orders.ts'
import { startRedis, type TestRedis } from '../../support/redis.ts'

let redis: TestRedis
let store: Store
let project: ProjectName
let count = 0

beforeAll(async () => {
  redis = await startRedis()
  store = await openStore(redis.url, { projectLimit: 2 })
})
afterAll(async () => {
  await store[Symbol.asyncDispose]()
  await redis[Symbol.asyncDispose]()
})
beforeEach(async () => {
  project = (await store.projects.create(projectOf(`acme/web${count++}`), noSecrets)).name
})

const log = createLogger('test', 'silent')
const finished = (status: 'succeeded' | 'failed'): BuildEvent => ({ kind: 'finished', atMs: 1, status, error: null })

function serve(runBuild: QueueOptions['runBuild'], change: Partial<QueueOptions> = {}) {
  return serveQueue({
    store,
    redisUrl: redis.url,
    worker: workerId(),
    concurrency: 4,
    buildTimeoutMs: 60_000,
    runBuild,
    log,
    ...change,
  })
}

async function queueSome(number: number): Promise<BuildId[]> {
  const orders = Array.from({ length: number }, () => orderOf(project))
  return (await store.builds.enqueue(orders, Date.now())).map((build) => build.id)
}

/** Waits for the build to be as wanted, as its events say. */
async function until(id: BuildId, isWanted: (build: Build) => boolean): Promise<Build> {
  for await (const _ of store.builds.events(id, null, AbortSignal.timeout(10_000))) {
    const build = await store.builds.get(id)
    if (build && isWanted(build)) return build
  }
  throw new Error(`Build ${id} ended otherwise: ${JSON.stringify(await store.builds.get(id))}`)
}

/** Runs until it is aborted, then does what a stopping build does. */
async function untilStopped(claim: Claim, signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
  const { kind } = signal.reason as SlipwayError
  if (kind === 'unavailable') return store.builds.release(claim, 'its worker was stopped', Date.now())
  if (kind === 'conflict') return
  const error = { kind: kind === 'timed-out' ? 'timed-out' : 'cancelled', message: 'x' } as const
  await store.builds.append(claim, [{ kind: 'finished', atMs: 1, status: 'cancelled', error }])
}

test('every build runs once, and no more at once than its project may', async () => {
  let now = 0
  let most = 0
  const runs: BuildId[] = []
  await using _ = serve(async (claim) => {
    runs.push(claim.build.id)
    most = Math.max(most, ++now)
    await sleep(20)
    await store.builds.append(claim, [finished('succeeded')])
    now--
  })
  const ids = await queueSome(5)
  await Promise.all(ids.map((id) => until(id, (build) => build.status === 'succeeded')))
  expect(runs.sort()).toEqual(ids.sort())
  expect(most).toBe(2)
})

test('projects take turns, and of each the oldest build goes first', async () => {
  const other = (await store.projects.create(projectOf(`acme/other${count}`), noSecrets)).name
  const ids = await queueSome(6)
  const others = await store.builds.enqueue([orderOf(other), orderOf(other), orderOf(other)], Date.now())
  const runs: BuildId[] = []
  const end = async (claim: Claim) => {
    runs.push(claim.build.id)
    await store.builds.append(claim, [finished('succeeded')])
  }
  await using _ = serve(end, { concurrency: 1 })
  await Promise.all(ids.map((id) => until(id, (build) => build.status === 'succeeded')))
  const [a, b] = [ids, others.map((build) => build.id)]
  expect(runs).toEqual([a[0], b[0], a[1], b[1], a[2], b[2], a[3], a[4], a[5]])
})

test('a build beyond the limit is not asked about, and runs as soon as another one ends', async () => {
  let asked = 0
  const builds: Store['builds'] = {
    ...store.builds,
    claimNext: (...args) => {
      asked++
      return store.builds.claimNext(...args)
    },
  }
  const ends = Array.from({ length: 3 }, () => Promise.withResolvers<void>())
  let started = 0
  await using _ = serve(
    async (claim) => {
      await ends[started++]!.promise
      await store.builds.append(claim, [finished('succeeded')])
    },
    { store: { ...store, builds } },
  )
  const ids = await queueSome(3)
  await until(ids[2]!, (build) => build.waitingFor?.startsWith('one of 2 builds') ?? false)
  const before = asked
  await sleep(1500)
  expect(asked).toBe(before)
  expect(started).toBe(2)
  const endedAtMs = performance.now()
  ends[0]!.resolve()
  await until(ids[2]!, (build) => build.status === 'running')
  expect(performance.now() - endedAtMs).toBeLessThan(500)
  for (const end of ends) end.resolve()
  await Promise.all(ids.map((id) => until(id, (build) => build.status === 'succeeded')))
})

test('what waited for a build of a worker that stops is taken by another worker', async () => {
  const ids = await queueSome(3)
  const gate = Promise.withResolvers<void>()
  const end = (claim: Claim) => store.builds.append(claim, [finished('succeeded')])
  const first = serve(async (claim) => {
    await gate.promise
    await end(claim)
  })
  await until(ids[2]!, (build) => build.waitingFor?.startsWith('one of 2 builds') ?? false)
  await using _ = serve(end)
  const stopped = first[Symbol.asyncDispose]()
  gate.resolve()
  await stopped
  await until(ids[2]!, (build) => build.status === 'succeeded')
})

test('a build that fails is a ticket well done', async () => {
  let runs = 0
  await using _ = serve(async (claim) => {
    runs++
    await store.builds.append(claim, [finished('failed')])
  })
  const [failed, after] = [(await queueSome(1))[0]!, (await queueSome(1))[0]!]
  await until(failed, (build) => build.status === 'failed')
  await until(after, (build) => build.status === 'failed')
  expect(runs).toBe(2)
})

test('a cancelled build is aborted, with the reason given', async () => {
  const reasons: unknown[] = []
  await using _ = serve(async (claim, signal) => {
    await untilStopped(claim, signal)
    reasons.push(signal.reason)
  })
  const [id] = await queueSome(1)
  await until(id!, (build) => build.status === 'running')
  await store.builds.cancel(id!, 'not needed', Date.now())
  await until(id!, (build) => build.status === 'cancelled')
  await expect.poll(() => reasons).toEqual([expect.objectContaining({ kind: 'cancelled', message: 'not needed' })])
})

test('a build that takes too long is aborted', async () => {
  await using _ = serve(untilStopped, { buildTimeoutMs: 50 })
  const [id] = await queueSome(1)
  expect((await until(id!, (build) => build.status === 'cancelled')).error?.kind).toBe('timed-out')
})

test('a stop gives running builds back, and another worker finishes them', async () => {
  const [id] = await queueSome(1)
  {
    await using first = serve(untilStopped)
    await until(id!, (build) => build.status === 'running')
    expect(first.running()).toEqual([id])
  }
  expect(await store.builds.get(id!)).toMatchObject({ status: 'queued', attempt: 1 })
  await using _ = serve((claim) => store.builds.append(claim, [finished('succeeded')]))
  expect(await until(id!, (build) => build.status === 'succeeded')).toMatchObject({ attempt: 2 })
})

test('a build whose worker died is run by the next one', async () => {
  const [id] = await queueSome(1)
  const dead = (await store.builds.claim(id!, workerId(), 60_000, Date.now()))!
  await using _ = serve((claim) => store.builds.append(claim, [finished('succeeded')]))
  await store.builds.reclaimFrom(dead.worker, Date.now(), 3)
  expect(await until(id!, (build) => build.status === 'succeeded')).toMatchObject({ attempt: 2 })
})

test('a build that lost its ticket gets another by the sweep', async () => {
  const [id] = await queueSome(1)
  // A ticket that was worked on while the store refused the claim is gone.
  {
    await using _ = serve(async () => {}, { store: { ...store, builds: { ...store.builds, claimNext: refuse } } })
    await expect.poll(() => refusals).toBeGreaterThan(0)
  }
  await using _ = serve((claim) => store.builds.append(claim, [finished('succeeded')]))
  expect(await store.builds.sweep()).toBe(1)
  expect(await until(id!, (build) => build.status === 'succeeded')).toMatchObject({ attempt: 1 })
})

let refusals = 0
async function refuse(): Promise<never> {
  refusals++
  throw new SlipwayError('unavailable', 'the store is away')
}
