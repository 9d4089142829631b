import { mkdtempDisposable, open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { waitForLock } from '#host/file-lock'
import { openSys } from '#host/sys'

const never = new AbortController().signal
const sys = openSys()

async function openTwo() {
  const stack = new AsyncDisposableStack()
  const dir = stack.use(await mkdtempDisposable(join(tmpdir(), 'slip-lock-')))
  const path = join(dir.path, 'lock')
  const [first, second] = [stack.use(await open(path, 'a')), stack.use(await open(path, 'a'))]
  return { first, second, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

test('waits until the other one has closed its file, and has the lock then', async () => {
  await using files = await openTwo()
  const { first, second } = files
  await waitForLock(first, 'exclusive', never)
  expect(sys.tryLock(second.fd, 'shared')).toBe(false)
  let has = false
  const waiting = waitForLock(second, 'exclusive', never).then(() => (has = true))
  expect(has).toBe(false)
  await first.close()
  await waiting
})

test('those who share do not wait for each other', async () => {
  await using files = await openTwo()
  const { first, second } = files
  await waitForLock(first, 'shared', never)
  await waitForLock(second, 'shared', never)
  expect(sys.tryLock(second.fd, 'exclusive')).toBe(false)
})

test('waiting can be given up', async () => {
  await using files = await openTwo()
  const { first, second } = files
  await waitForLock(first, 'exclusive', never)
  const stop = new AbortController()
  const waiting = waitForLock(second, 'shared', stop.signal)
  const reason = new Error('enough')
  stop.abort(reason)
  await expect(waiting).rejects.toBe(reason)
  await expect(waitForLock(second, 'shared', stop.signal)).rejects.toBe(reason)
})
