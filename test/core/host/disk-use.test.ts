import { once } from 'node:events'
import { mkdir, mkdtempDisposable, readdir, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openLease, openUseMarks, whileNobodyBegins } from '#host/disk-use'
import { spawn } from '#host/exec'
import { openSys } from '#host/sys'

const sys = openSys()
const HOUR_MS = 3_600_000

const openDir = () => mkdtempDisposable('/tmp/slip-use-')
const usedSince = (dataDir: string) =>
  whileNobodyBegins(sys, { dataDir, storeLock: null }, async (usedSinceMs) => usedSinceMs)
const leasesOf = async (dataDir: string) => (await readdir(join(dataDir, 'leases'))).filter((name) => /^\d/.test(name))

test('without a lease nothing is in use; with some, what was used since the oldest one and a little before', async () => {
  await using dir = await openDir()
  expect(await usedSince(dir.path)).toBe(Number.POSITIVE_INFINITY)
  const beforeMs = Date.now()
  await using first = await openLease(sys, dir.path)
  const afterMs = Date.now()
  await using _second = await openLease(sys, dir.path)
  expect(await usedSince(dir.path)).toBeGreaterThan(beforeMs - HOUR_MS)
  expect(await usedSince(dir.path)).toBeLessThanOrEqual(afterMs - 60_000)
  await first[Symbol.asyncDispose]()
  await first[Symbol.asyncDispose]()
  expect(await leasesOf(dir.path)).toHaveLength(1)
})

test('the lease of a killed process ends with it', async () => {
  await using dir = await openDir()
  const script = `
    const { openLease } = await import('${import.meta.resolve('#host/disk-use')}')
    const { openSys } = await import('${import.meta.resolve('#host/sys')}')
    globalThis.lease = await openLease(openSys(), ${JSON.stringify(dir.path)})
    process.stdout.write('held')
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script])
  if (child.stdout) await once(child.stdout, 'data')
  expect(await usedSince(dir.path)).toBeLessThan(Date.now())
  child.kill('SIGKILL')
  await once(child, 'exit')
  expect(await usedSince(dir.path)).toBe(Number.POSITIVE_INFINITY)
  expect(await leasesOf(dir.path)).toEqual([])
})

test('no lease begins and no use is marked while somebody decides what goes', async () => {
  await using dir = await openDir()
  const [path, storeLock] = [join(dir.path, 'object'), join(dir.path, 'store/lock')]
  await writeFile(path, '')
  const marks = await openUseMarks(sys, storeLock)
  const order: string[] = []
  const begun: Promise<unknown>[] = []
  await whileNobodyBegins(sys, { dataDir: dir.path, storeLock }, async () => {
    begun.push(openLease(sys, dir.path).then((lease) => (order.push('lease'), lease[Symbol.asyncDispose]())))
    begun.push(marks.use(path).then(() => order.push('mark')))
    // Each of them has had its turns by the time that files were read so often.
    for (let read = 0; read < 50; read++) await stat(path)
    order.push('decided')
  })
  await Promise.all(begun)
  expect(order[0]).toBe('decided')
  expect(order.toSorted()).toEqual(['decided', 'lease', 'mark'])
})

test('a use is a mark at most once a minute, and what is gone has none', async () => {
  await using dir = await openDir()
  await mkdir(join(dir.path, 'store'))
  const path = join(dir.path, 'store/object')
  const marks = await openUseMarks(sys, join(dir.path, 'store/lock'))
  expect(await marks.use(path)).toBe(false)
  await writeFile(path, '')
  await utimes(path, 1000, 1000)
  expect(await marks.use(path)).toBe(true)
  expect((await stat(path)).mtimeMs).toBeGreaterThan(Date.now() - HOUR_MS)
  await utimes(path, 1000, 1000)
  expect(await marks.use(path)).toBe(true)
  expect((await stat(path)).mtimeMs).toBe(1_000_000)
})
