import { afterAll, beforeAll, expect, test } from 'vitest'
import type { StepLease, Store } from '#store/contract'
import { openStore } from '#store/open-store'
import { startRedis, type TestRedis } from '../../support/redis.ts'

let redis: TestRedis
let stack: AsyncDisposableStack

beforeAll(async () => {
  redis = await startRedis()
  stack = new AsyncDisposableStack()
})
afterAll(async () => {
  await stack.disposeAsync()
  await redis[Symbol.asyncDispose]()
})

const never = new AbortController().signal
/** Nobody looks again by itself: what is told has to arrive. */
const toldOnly = { leaseMs: 60_000, renewMs: 20_000, lookAgainMs: 60_000 }

async function openWorker(times = toldOnly): Promise<Store> {
  return stack.use(await openStore(redis.url, { stepLeases: times }))
}

/** The names of what resolves, in order. */
async function order(ends: Record<string, Promise<unknown>>): Promise<string[]> {
  const done: string[] = []
  await Promise.all(Object.entries(ends).map(([name, end]) => end.then(() => done.push(name))))
  return done
}

test('workers take a step one after the other, as soon as it is free', async () => {
  const [one, two] = [await openWorker(), await openWorker()]
  const first = await one.stepLeases.take('acme/web', 'a', never)
  const second = two.stepLeases.take('acme/web', 'a', never)
  const other = two.stepLeases.take('acme/web', 'b', never)
  const fork = two.stepLeases.take('fork', 'a', never)
  expect(await order({ other, fork })).toHaveLength(2)
  expect(await first.confirm()).toBe(true)
  await first[Symbol.asyncDispose]()
  expect(await first.confirm()).toBe(false)
  expect(await (await second).confirm()).toBe(true)
  for (const lease of await Promise.all([second, other, fork])) await lease[Symbol.asyncDispose]()
})

test('many who wait get it each in turn', async () => {
  const workers = [await openWorker(), await openWorker(), await openWorker()]
  let holders = 0
  let most = 0
  const use = async (lease: Promise<StepLease>) => {
    await using _ = await lease
    most = Math.max(most, ++holders)
    await new Promise((next) => setImmediate(next))
    holders--
  }
  await Promise.all([...workers, ...workers].map(({ stepLeases }) => use(stepLeases.take('s', 'many', never))))
  expect(most).toBe(1)
})

test('the step of a worker that died is taken over, and what it finishes then does not count', async () => {
  const dead = await openWorker({ leaseMs: 50, renewMs: 60_000, lookAgainMs: 60_000 })
  const alive = await openWorker({ leaseMs: 60_000, renewMs: 20_000, lookAgainMs: 20 })
  const lost = await dead.stepLeases.take('s', 'dead', never)
  await using taken = await alive.stepLeases.take('s', 'dead', never)
  expect(await lost.confirm()).toBe(false)
  await lost[Symbol.asyncDispose]()
  expect(await taken.confirm()).toBe(true)
})

test('a holder that goes on working keeps it', async () => {
  const busy = await openWorker({ leaseMs: 1000, renewMs: 50, lookAgainMs: 10 })
  const lease = await busy.stepLeases.take('s', 'busy', never)
  const stop = AbortSignal.timeout(1300)
  await expect(busy.stepLeases.take('s', 'busy', stop)).rejects.toMatchObject({ name: 'TimeoutError' })
  expect(await lease.confirm()).toBe(true)
  await lease[Symbol.asyncDispose]()
})

test('whoever is cancelled waits no more', async () => {
  const worker = await openWorker()
  await using _ = await worker.stepLeases.take('s', 'cancelled', never)
  const controller = new AbortController()
  const waiting = worker.stepLeases.take('s', 'cancelled', controller.signal)
  controller.abort(new Error('no longer wanted'))
  await expect(waiting).rejects.toThrow('no longer wanted')
})
