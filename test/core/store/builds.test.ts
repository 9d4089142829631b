import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { BuildEvent } from '#domain/build-event'
import type { BuildId, ProjectName } from '#domain/ids'
import { run } from '#host/exec'
import { newId } from '#host/new-id'
import type { Claim, Store, StoredEvent } from '#store/contract'
import { openStore } from '#store/open-store'
import { startRedis, type TestRedis } from '../../support/redis.ts'
import { noSecrets, orderOf, projectOf, workerId } from './orders.ts'

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
const line = (firstLine: number, text: string): BuildEvent => ({
  kind: 'log',
  atMs: 5,
  step: null,
  stream: 'stdout',
  firstLine,
  text,
})
const finished: BuildEvent = { kind: 'finished', atMs: 9, status: 'succeeded', error: null }

async function queueOne(change = {}): Promise<BuildId> {
  const [build] = await store.builds.enqueue([orderOf(project, change)], 1000)
  return build!.id
}

async function claimOne(id: BuildId, leaseMs = 60_000, nowMs = 2000): Promise<Claim> {
  return (await store.builds.claim(id, workerId(), leaseMs, nowMs))!
}

async function collect(events: AsyncIterable<StoredEvent>): Promise<StoredEvent[]> {
  const all: StoredEvent[] = []
  for await (const event of events) all.push(event)
  return all
}

test('the same build queued fifty times at once is one build with one number', async () => {
  const order = orderOf(project)
  const results = await Promise.all(Array.from({ length: 50 }, () => store.builds.enqueue([order], 1000)))
  expect(new Set(results.map(([build]) => JSON.stringify(build))).size).toBe(1)
  expect(results[0]![0]).toMatchObject({ ...order, number: 1, status: 'queued', attempt: 0 })
  expect((await store.builds.list({ project }, null, 10)).items).toHaveLength(1)
})

test('builds queued at once get every number once, and arrays and objects stay what they are', async () => {
  const orders = Array.from({ length: 40 }, () => orderOf(project, { deploy: [], tags: [], buildArgs: {} }))
  const builds = (await Promise.all(orders.map((order) => store.builds.enqueue([order], 1000)))).flat()
  expect(builds.map((build) => build.number).sort((a, b) => a - b)).toEqual(orders.map((_, index) => index + 1))
  expect(await store.builds.get(builds[0]!.id)).toMatchObject({ deploy: [], tags: [], buildArgs: {}, steps: [] })
})

test('a build of a project that is not there is refused', async () => {
  const order = orderOf('acme/none' as ProjectName)
  await expect(store.builds.enqueue([order], 1000)).rejects.toMatchObject({ kind: 'not-found' })
})

test('only one of many workers gets the claim, and the build is running', async () => {
  const id = await queueOne()
  const claims = await Promise.all(Array.from({ length: 10 }, () => store.builds.claim(id, workerId(), 60_000, 2000)))
  const won = claims.filter((claim) => claim !== null)
  expect(won).toHaveLength(1)
  expect(won[0]).toMatchObject({ attempt: 1, fencingToken: 1 })
  expect(await store.builds.get(id)).toMatchObject({ status: 'running', worker: won[0]!.worker, startedAtMs: 2000 })
})

test('a project runs only so many builds at once, and the next says what it waits for', async () => {
  const ids = await Promise.all(Array.from({ length: 5 }, () => queueOne()))
  const claims = []
  for (const id of ids) claims.push(await store.builds.claim(id, workerId(), 60_000, 2000))
  expect(claims.map((claim) => claim !== null)).toEqual([true, true, true, true, false])
  expect((await store.builds.get(ids[4]!))?.waitingFor).toContain('one of 4 builds')
  await store.builds.append(claims[0]!, [finished])
  expect(await store.builds.claim(ids[4]!, workerId(), 60_000, 2000)).not.toBeNull()
})

test('an expired lease gives the build back, and the old claim can write no more', async () => {
  const id = await queueOne()
  const old = await claimOne(id, 1000, 2000)
  expect(await store.builds.reclaimExpired(2999, 3)).toEqual([])
  expect(await store.builds.reclaimExpired(3000, 3)).toEqual([id])
  expect(await store.builds.get(id)).toMatchObject({ status: 'queued', worker: null, attempt: 1 })
  await expect(store.builds.append(old, [line(1, 'late\n')])).rejects.toMatchObject({ kind: 'conflict' })
  expect(await store.builds.renew(old, 1000, 3000)).toBe(false)
  const next = await claimOne(id, 1000, 4000)
  expect(next).toMatchObject({ attempt: 2 })
  expect(next.fencingToken).toBeGreaterThan(old.fencingToken)
  await expect(store.builds.append(old, [finished])).rejects.toMatchObject({ kind: 'conflict' })
  await store.builds.append(next, [finished])
  expect(await store.builds.get(id)).toMatchObject({ status: 'succeeded', attempt: 2 })
})

test('a build that loses its workers too often fails as worker-lost', async () => {
  const id = await queueOne()
  for (let attempt = 1; attempt <= 3; attempt++) {
    await claimOne(id, 1000, attempt * 10_000)
    expect(await store.builds.reclaimExpired(attempt * 10_000 + 1000, 3)).toEqual([id])
  }
  expect(await store.builds.get(id)).toMatchObject({ status: 'failed', attempt: 3, error: { kind: 'worker-lost' } })
  expect(await store.builds.claim(id, workerId(), 1000, 99_000)).toBeNull()
})

test('what a dead worker held comes back at once, and nothing else does', async () => {
  const [its, other] = [await queueOne(), await queueOne()]
  const dead = await claimOne(its)
  await claimOne(other)
  expect(await store.builds.reclaimFrom(dead.worker, 3000, 3)).toEqual([its])
  expect((await store.builds.get(its))?.status).toBe('queued')
  expect((await store.builds.get(other))?.status).toBe('running')
})

test('a renewed lease is not reclaimed', async () => {
  const id = await queueOne()
  const claim = await claimOne(id, 1000, 2000)
  expect(await store.builds.renew(claim, 1000, 2900)).toBe(true)
  expect(await store.builds.reclaimExpired(3500, 3)).toEqual([])
  await store.builds.append(claim, [finished])
})

test('a released build is queued at once and counts as no loss', async () => {
  const id = await queueOne()
  for (let attempt = 1; attempt <= 4; attempt++) await store.builds.release(await claimOne(id), 'worker stops', 3000)
  expect(await store.builds.get(id)).toMatchObject({ status: 'queued', waitingFor: 'a free worker (worker stops)' })
})

test('a queued build is cancelled at once', async () => {
  const id = await queueOne()
  expect(await store.builds.cancel(id, 'not needed', 1500)).toBe(true)
  expect(await store.builds.get(id)).toMatchObject({
    status: 'cancelled',
    error: { kind: 'cancelled', message: 'not needed' },
  })
  expect(await store.builds.claim(id, workerId(), 1000, 2000)).toBeNull()
  expect(await store.builds.cancel(id, 'again', 1600)).toBe(false)
})

test('the worker of a running build is told to cancel, by announcement and by its next renewal', async () => {
  const id = await queueOne()
  const claim = await claimOne(id)
  await using other = await openStore(redis.url)
  const told = Promise.withResolvers<[BuildId, string]>()
  await using _ = other.builds.onCancel((...args) => told.resolve(args))
  expect(await store.builds.cancel(id, 'not needed', 2500)).toBe(true)
  expect(await told.promise).toEqual([id, 'not needed'])
  const again = Promise.withResolvers<[BuildId, string]>()
  await using _again = other.builds.onCancel((...args) => again.resolve(args))
  expect(await other.builds.renew(claim, 1000, 3000)).toBe(true)
  expect(await again.promise).toEqual([id, 'not needed'])
  expect((await store.builds.get(id))?.status).toBe('running')
})

test('a build that was to be cancelled when its worker died ends as cancelled', async () => {
  const id = await queueOne()
  await claimOne(id, 1000, 2000)
  await store.builds.cancel(id, 'not needed', 2500)
  await store.builds.reclaimExpired(9000, 3)
  expect(await store.builds.get(id)).toMatchObject({ status: 'cancelled' })
})

test('events resume after an id without a gap or a repeat, live and from history', async () => {
  const id = await queueOne()
  const claim = await claimOne(id)
  const live = collect(store.builds.events(id, null, forever))
  for (let index = 1; index <= 150; index++) await store.builds.append(claim, [line(index, `line ${index}\n`)])
  await store.builds.append(claim, [finished])
  const all = await live
  expect(all).toHaveLength(153)
  expect(all.map(({ event }) => event.kind).filter((kind) => kind !== 'log')).toEqual(['queued', 'started', 'finished'])
  for (const cut of [0, 1, 64, 151, 152])
    expect(await collect(store.builds.events(id, all[cut]!.id, forever))).toEqual(all.slice(cut + 1))
  expect((await store.builds.get(id))?.logLines).toBe(150)
})

test('many viewers see the same events over one connection', async () => {
  const id = await queueOne()
  const claim = await claimOne(id)
  const viewers = Array.from({ length: 30 }, () => collect(store.builds.events(id, null, forever)))
  await store.builds.append(claim, [line(1, 'a\n'), line(2, 'b\n')])
  await store.builds.append(claim, [finished])
  const seen = await Promise.all(viewers)
  expect(new Set(seen.map((events) => JSON.stringify(events))).size).toBe(1)
  expect(seen[0]).toHaveLength(5)
})

test('an interrupted connection loses no event', async () => {
  const id = await queueOne()
  const claim = await claimOne(id)
  const live = collect(store.builds.events(id, null, forever))
  for (let index = 1; index <= 10; index++) {
    await run('redis-cli', ['-s', redis.socket, 'client', 'kill', 'type', 'pubsub'])
    await store.builds.append(claim, [line(index, 'x\n')])
  }
  await store.builds.append(claim, [finished])
  expect(await live).toHaveLength(13)
})

test('the stream of a build goes on until its rollouts have ended', async () => {
  const id = await queueOne()
  const claim = await claimOne(id)
  const rollout = newId('rol') as never
  const progress = (status: string): BuildEvent => ({
    kind: 'rollout-progressed',
    atMs: 10,
    rollout,
    status,
    message: '',
  })
  const events = collect(store.builds.events(id, null, forever))
  await store.builds.append(claim, [
    { kind: 'rollout-requested', atMs: 8, rollout, target: 'default/web/web' },
    finished,
  ])
  await store.builds.appendAfter(id, [progress('progressing')])
  await store.builds.appendAfter(id, [progress('succeeded')])
  expect((await events).map(({ event }) => event.kind)).toEqual([
    'queued',
    'started',
    'rollout-requested',
    'finished',
    'rollout-progressed',
    'rollout-progressed',
  ])
})

test('somebody else’s events between those of the holder lose nothing', async () => {
  const id = await queueOne()
  const claim = await claimOne(id)
  const rollout = newId('rol') as never
  await Promise.all([
    ...Array.from({ length: 20 }, (_, index) => store.builds.append(claim, [line(index + 1, 'x\n')])),
    ...Array.from({ length: 5 }, () =>
      store.builds.appendAfter(id, [{ kind: 'rollout-progressed', atMs: 1, rollout, status: 'failed', message: '' }]),
    ),
  ])
  await store.builds.append(claim, [finished])
  expect(await collect(store.builds.events(id, null, forever))).toHaveLength(28)
  expect(await store.builds.get(id)).toMatchObject({ logLines: 20, status: 'succeeded' })
})

test('events of an unknown build, and ids that are none, are refused', async () => {
  await expect(collect(store.builds.events(newId('bld') as BuildId, null, forever))).rejects.toMatchObject({
    kind: 'not-found',
  })
  const id = await queueOne()
  await expect(collect(store.builds.events(id, '$', forever))).rejects.toMatchObject({ kind: 'invalid' })
})

test('events end when their reader aborts', async () => {
  const id = await queueOne()
  const reader = new AbortController()
  const seen: string[] = []
  for await (const { event } of store.builds.events(id, null, reader.signal)) {
    seen.push(event.kind)
    reader.abort()
  }
  expect(seen).toEqual(['queued'])
})

test('watchers see a build that changes, not every line of its log', async () => {
  const reader = new AbortController()
  const seen: string[] = []
  const watching = (async () => {
    for await (const build of store.builds.watch(reader.signal)) {
      seen.push(build.status)
      if (build.status === 'succeeded') reader.abort()
    }
  })()
  const id = await queueOne()
  const claim = await claimOne(id)
  for (let index = 1; index <= 20; index++) await store.builds.append(claim, [line(index, 'x\n')])
  await store.builds.append(claim, [finished])
  await watching
  expect(seen.length).toBeLessThanOrEqual(3)
  expect(seen.at(-1)).toBe('succeeded')
})

test('lists are newest first, filtered, and in pages that neither skip nor repeat', async () => {
  const ids: BuildId[] = []
  for (let index = 0; index < 7; index++) ids.push(await queueOne())
  await store.builds.cancel(ids[3]!, 'x', 1)
  const seen: BuildId[] = []
  for (let cursor: string | null = null; ; ) {
    const page = await store.builds.list({ project }, cursor, 3)
    seen.push(...page.items.map((build) => build.id))
    cursor = page.next
    if (cursor === null) break
  }
  expect(seen).toEqual(ids.toReversed())
  const queued = await store.builds.list({ project, status: 'queued' }, null, 10)
  expect(queued.items.map((build) => build.id)).toEqual(ids.toReversed().filter((id) => id !== ids[3]))
  await expect(store.builds.list({ project }, 'nonsense', 3)).rejects.toMatchObject({ kind: 'invalid' })
})

test('a removed project takes its builds with it, and their worker can write no more', async () => {
  const id = await queueOne()
  const claim = await claimOne(id)
  await store.projects.remove(project)
  expect(await store.builds.get(id)).toBeNull()
  await expect(store.builds.append(claim, [finished])).rejects.toMatchObject({ kind: 'conflict' })
})

test('a tag is not moved back by an older build, and by one build at a time', async () => {
  const moved: number[] = []
  let inside = 0
  const move = (number: number) => async () => {
    expect(++inside).toBe(1)
    await store.ping()
    moved.push(number)
    inside--
  }
  const first = await Promise.all([3, 1, 2].map((number) => store.tags.move(project, 'latest', number, move(number))))
  expect(first[0]).toBe(true)
  expect(moved.at(-1)).toBe(3)
  expect(await store.tags.move(project, 'latest', 2, move(2))).toBe(false)
  expect(await store.tags.move(project, 'latest', 4, move(4))).toBe(true)
})
