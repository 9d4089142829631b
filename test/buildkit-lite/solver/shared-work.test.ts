import { expect, test } from 'vitest'
import { createSharedWork } from '../../../buildkit-lite/solver/shared-work.ts'

const never = new AbortController().signal

test('work of one name is done once at a time', async () => {
  const work = createSharedWork()
  let runs = 0
  const once = () => work.share('a', async () => ++runs, never)
  expect(await Promise.all([once(), once()])).toEqual([1, 1])
  expect(await once()).toBe(2)
})

test('it is cancelled only when everybody has left', async () => {
  const work = createSharedWork()
  const [first, second] = [new AbortController(), new AbortController()]
  const cancelled: string[] = []
  const join = (signal: AbortSignal) =>
    work.share(
      'a',
      async (shared) => {
        const { promise, reject } = Promise.withResolvers<never>()
        shared.addEventListener('abort', () => {
          cancelled.push('work')
          reject(shared.reason)
        })
        return await promise
      },
      signal,
    )
  const both = [join(first.signal), join(second.signal)].map((one) => one.catch((error: Error) => error.message))
  first.abort(new Error('one left'))
  expect(await both[0]).toBe('one left')
  expect(cancelled).toEqual([])
  second.abort(new Error('both left'))
  await Promise.all(both)
  expect(cancelled).toEqual(['work'])
})

test('a failure reaches everybody and is not remembered', async () => {
  const work = createSharedWork()
  const fail = () =>
    work.share<number>(
      'a',
      async () => {
        throw new Error('broken')
      },
      never,
    )
  const results = await Promise.allSettled([fail(), fail()])
  expect(results.map((result) => result.status)).toEqual(['rejected', 'rejected'])
  expect(await work.share('a', async () => 1, never)).toBe(1)
})

test('a lock is held by one at a time', async () => {
  const work = createSharedWork()
  const order: string[] = []
  const held = await work.lock('a', never)
  expect(work.tryLock('a')).toBeNull()
  const takeNext = async (): Promise<void> => {
    using _lock = await work.lock('a', never)
    order.push('next')
  }
  const next = takeNext()
  order.push('first')
  held[Symbol.dispose]()
  await next
  expect(order).toEqual(['first', 'next'])
  expect(work.tryLock('a')).not.toBeNull()
})
