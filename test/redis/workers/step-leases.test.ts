import { afterAll, beforeAll, expect, test } from 'vitest'
import { createSharedWork } from '#buildkit-lite'
import { openStore } from '#store/open-store'
import { createStepCache } from '../../../workers/step-cache.ts'
import { startRedis, type TestRedis } from '../../support/redis.ts'
import { createSolveProcess, gate } from '../../support/solve-process.ts'

let redis: TestRedis
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(async () => await redis[Symbol.asyncDispose]())

/** What a worker has for itself. Blobs are in one place here, as they are in a registry otherwise. */
async function openWorker(stack: AsyncDisposableStack, leaseMs = 60_000) {
  // Nobody looks again by itself but where a holder is to be found dead.
  const stepLeases = { leaseMs, renewMs: 60_000, lookAgainMs: leaseMs }
  const store = stack.use(await openStore(redis.url, { stepLeases }))
  return {
    cache: createStepCache(store.stepCache),
    stepLeases: store.stepLeases,
    sharedWork: createSharedWork(),
  }
}

test('a step that builds of two workers want runs on one of them, and the other is told its result', async () => {
  await using stack = new AsyncDisposableStack()
  const { begun, open, program } = gate()
  const bench = stack.use(await createSolveProcess(program))
  const first = bench.start('one', await openWorker(stack))
  await begun
  const second = bench.start('one', await openWorker(stack))
  open()
  expect(await second.solved).toEqual(await first.solved)
  expect(bench.sandbox.started).toEqual(['one'])
  expect(first.told()).toEqual(['step-started', 'said', 'done'])
  expect(second.told()).toEqual(['cached'])
})

test('a failure of one worker is no result for the other: it runs the step itself', async () => {
  await using stack = new AsyncDisposableStack()
  const { begun, open, program } = gate()
  const codes = [1, 0]
  const bench = stack.use(
    await createSolveProcess(async (spec, signal) => ({ ...(await program(spec, signal)), code: codes.shift() ?? 0 })),
  )
  const change = { cacheScope: 'failing' }
  const first = bench.start('one', { ...(await openWorker(stack)), ...change })
  await begun
  const second = bench.start('one', { ...(await openWorker(stack)), ...change })
  open()
  await expect(first.solved).rejects.toThrow('exit code: 1')
  await second.solved
  expect(second.told()).toEqual(['step-started', 'said', 'done'])
})

test('a worker that is taken for dead keeps its result to itself, and nobody waits for it', async () => {
  await using stack = new AsyncDisposableStack()
  const { begun, open, program } = gate()
  const programs = [program]
  const bench = stack.use(
    await createSolveProcess(
      async (spec, signal) => await (programs.shift() ?? (async () => ({ code: 0 })))(spec, signal),
    ),
  )
  const change = { cacheScope: 'dead' }
  const dead = await openWorker(stack, 100)
  const first = bench.start('one', { ...dead, ...change })
  await begun
  const second = await bench.start('one', { ...(await openWorker(stack, 100)), ...change }).solved
  open()
  await first.solved
  const third = await bench.start('one', { ...dead, ...change }).solved
  expect(third).toEqual(second)
  expect(bench.sandbox.started).toEqual(['one', 'one'])
})
