import { expect, test } from 'vitest'
import { retry } from '#host/retry'

const backoff = {
  attempts: 3,
  firstDelayMs: 1,
  maxDelayMs: 2,
  retryable: (error: unknown) => String(error).includes('again'),
}
const forever = new AbortController().signal

/** Fails with each message in turn, then answers. */
function failing(...messages: string[]) {
  const attempts: number[] = []
  const work = async (attempt: number) => {
    attempts.push(attempt)
    const message = messages[attempt - 1]
    if (message) throw new Error(message)
    return 'done'
  }
  return { work, attempts }
}

test('tries again until it works', async () => {
  const { work, attempts } = failing('again', 'again')
  expect(await retry(work, backoff, forever)).toBe('done')
  expect(attempts).toEqual([1, 2, 3])
})

test('gives up with the last error', async () => {
  const { work } = failing('again 1', 'again 2', 'again 3')
  await expect(retry(work, backoff, forever)).rejects.toThrow('again 3')
})

test('does not repeat what cannot work', async () => {
  const { work, attempts } = failing('never')
  await expect(retry(work, backoff, forever)).rejects.toThrow('never')
  expect(attempts).toEqual([1])
})

test('stops when it is aborted', async () => {
  const controller = new AbortController()
  const work = async () => {
    controller.abort(new Error('stopped'))
    throw new Error('again')
  }
  await expect(retry(work, backoff, controller.signal)).rejects.toThrow('again')
  await expect(retry(work, backoff, controller.signal)).rejects.toThrow('stopped')
})
