import { expect, test } from 'vitest'
import { createSharedWork } from '../../../buildkit-lite/solver/shared-work.ts'

const never = new AbortController().signal

/** A listener that keeps what it hears. */
function listener() {
  const heard: string[] = []
  return { heard, follow: async (news: string) => void heard.push(news) }
}

test('who comes late hears everything from the beginning, before the result', async () => {
  const shared = createSharedWork()
  const [one, two] = [listener(), listener()]
  const { promise: goOn, resolve } = Promise.withResolvers<void>()
  const { promise: told, resolve: onTold } = Promise.withResolvers<void>()
  const work = async (tell: (news: string) => Promise<void>) => {
    await tell('a')
    onTold()
    await goOn
    await tell('b')
    return 1
  }
  const first = shared.shareTold('x', work, one.follow, never)
  await told
  const second = shared.shareTold('x', work, two.follow, never)
  resolve()
  expect(await Promise.all([first, second])).toEqual([1, 1])
  expect([one.heard, two.heard]).toEqual([
    ['a', 'b'],
    ['a', 'b'],
  ])
})

test('a listener that is slow slows the work', async () => {
  const { promise: goOn, resolve } = Promise.withResolvers<void>()
  let isDone = false
  const work = async (tell: (news: string) => Promise<void>) => {
    await Promise.resolve()
    await tell('a')
    isDone = true
  }
  const result = createSharedWork().shareTold('x', work, () => goOn, never)
  await new Promise((next) => setImmediate(next))
  expect(isDone).toBe(false)
  resolve()
  await result
  expect(isDone).toBe(true)
})

test('a listener that fails leaves, and the others get the result', async () => {
  const shared = createSharedWork()
  const { promise: goOn, resolve } = Promise.withResolvers<void>()
  const { heard, follow } = listener()
  const work = async (tell: (news: string) => Promise<void>) => {
    await Promise.resolve()
    await tell('a')
    await goOn
    return 1
  }
  const broken = shared.shareTold('x', work, () => Promise.reject(new Error('deaf')), never)
  const whole = shared.shareTold('x', work, follow, never)
  await expect(broken).rejects.toThrow('deaf')
  resolve()
  expect(await whole).toBe(1)
  expect(heard).toEqual(['a'])
})

test('what ends because its beginner has left is begun anew by one of those who wait', async () => {
  const shared = createSharedWork()
  const controller = new AbortController()
  let runs = 0
  const workOf = (signal: AbortSignal) => async () => {
    const run = ++runs
    if (run > 1) return run
    // The resources of whoever began it go with them.
    await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('context closed'))))
    return run
  }
  const first = shared.shareTold('x', workOf(controller.signal), async () => {}, controller.signal)
  const others = [1, 2].map(() => shared.shareTold('x', workOf(never), async () => {}, never))
  controller.abort(new Error('cancelled'))
  await expect(first).rejects.toThrow('cancelled')
  expect(await Promise.all(others)).toEqual([2, 2])
})

test('a failure of those who stay is theirs', async () => {
  const work = async () => {
    throw new Error('broken')
  }
  await expect(createSharedWork().shareTold('x', work, async () => {}, never)).rejects.toThrow('broken')
})
