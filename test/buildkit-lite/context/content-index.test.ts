import { hash } from 'node:crypto'
import {
  appendFile,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { run } from '#host/exec'
import { openDirectoryContext } from '../../../buildkit-lite/context/directory-context.ts'

const signal = new AbortController().signal
let root: string
let src: string
let indexDir: string

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'slip-index-'))
  src = join(root, 'src')
  indexDir = join(root, 'state', 'index')
  await mkdir(src)
})
afterEach(() => rm(root, { recursive: true, force: true }))

/** Content ids by path. */
async function list(): Promise<Record<string, string | null>> {
  await using context = await openDirectoryContext(src, { indexDir })
  return Object.fromEntries((await context.entries(signal)).map((entry) => [entry.path, entry.contentId]))
}

/** The same without any index. */
async function listAfresh(): Promise<Record<string, string | null>> {
  await using context = await openDirectoryContext(src)
  return Object.fromEntries((await context.entries(signal)).map((entry) => [entry.path, entry.contentId]))
}

async function indexFile(): Promise<string> {
  const [name = '', ...more] = await readdir(indexDir)
  expect(more).toEqual([])
  return join(indexDir, name)
}

/** Waits until a change would show in the time of a file that was last changed now. */
async function settle(): Promise<void> {
  const changedMs = (await lstat(join(src, 'a'))).ctimeMs
  await expect.poll(() => Date.now() - changedMs, { interval: 20, timeout: 5000 }).toBeGreaterThan(150)
}

/** A directory that was hashed, with all of it in the index. */
async function makeIndexed(): Promise<Record<string, string | null>> {
  await writeFile(join(src, 'a'), 'one')
  await writeFile(join(src, 'b\nc'), 'two')
  await settle()
  return await list()
}

/** Gives every digest of the index another value, and seals it again, so that it shows whether it is believed. */
async function forge(): Promise<void> {
  const path = await indexFile()
  const [head = '', ...rest] = (await readFile(path, 'latin1')).split('\n')
  const body = rest.join('\n').replaceAll(/sha256:[0-9a-f]{64}/g, `sha256:${'0'.repeat(64)}`)
  const magic = head.slice(0, head.lastIndexOf(' '))
  await writeFile(
    path,
    Buffer.from(`${magic} ${hash('sha256', Buffer.from(body, 'latin1'), 'hex')}\n${body}`, 'latin1'),
  )
}

test('what did not change is taken from the index, and equals what is read afresh', async () => {
  const first = await makeIndexed()
  const written = await stat(await indexFile())
  expect(await list()).toEqual(first)
  expect(await listAfresh()).toEqual(first)
  // It is not written again where it says the same.
  expect((await stat(await indexFile())).ino).toBe(written.ino)
  await forge()
  expect(Object.values(await list())).toEqual([`sha256:${'0'.repeat(64)}`, `sha256:${'0'.repeat(64)}`])
})

test('a file of the same size with its old time put back is read again', async () => {
  const first = await makeIndexed()
  const { atime, mtime } = await stat(join(src, 'a'))
  await writeFile(join(src, 'a'), 'ONE')
  await utimes(join(src, 'a'), atime, mtime)
  const second = await list()
  expect(second).toEqual(await listAfresh())
  expect(second['a']).not.toBe(first['a'])
})

test('a file that another one of the same size and time was renamed over is read again', async () => {
  await makeIndexed()
  const { atime, mtime } = await stat(join(src, 'a'))
  await writeFile(join(root, 'other'), 'ONE')
  await utimes(join(root, 'other'), atime, mtime)
  await rename(join(root, 'other'), join(src, 'a'))
  expect(await list()).toEqual(await listAfresh())
})

test('what changed in the tick in which it was hashed is not kept', async () => {
  await writeFile(join(src, 'a'), 'one')
  for (let round = 0; round < 50; round++) {
    await writeFile(join(src, 'a'), `${100 + round}`)
    expect(await list()).toEqual(await listAfresh())
  }
})

test('times in the future are never trusted', async () => {
  await makeIndexed()
  await utimes(join(src, 'a'), new Date(), new Date(Date.now() + 3_600_000))
  await list()
  expect(await readFile(await indexFile(), 'latin1')).not.toContain('\na\0')
  expect(await list()).toEqual(await listAfresh())
})

test.for([
  ['is cut off', (path: string) => truncate(path, 150)],
  ['is empty', (path: string) => truncate(path, 0)],
  ['has bytes more', (path: string) => appendFile(path, '\0a\x001\x00sha256:0\0')],
  [
    'has another byte in it',
    async (path: string) => writeFile(path, (await readFile(path, 'latin1')).replace('sha256:', 'sha256;')),
  ],
  ['is a directory', async (path: string) => (await rm(path), await mkdir(path))],
] as const)('an index that %s is left aside', async ([, damage]) => {
  const first = await makeIndexed()
  await damage(await indexFile())
  expect(await list()).toEqual(first)
})

test('builds at the same time leave a whole index behind', async () => {
  const first = await makeIndexed()
  await Promise.all(Array.from({ length: 8 }, async () => expect(await list()).toEqual(first)))
  await writeFile(join(src, 'c'), 'three')
  await settle()
  const all = await Promise.all(Array.from({ length: 8 }, list))
  const afresh = await listAfresh()
  for (const one of all) expect(one).toEqual(afresh)
  await indexFile()
})

test('a change of extended attributes shows', async () => {
  await makeIndexed()
  const attributes = async () => {
    await using context = await openDirectoryContext(src, { indexDir })
    return (await context.entries(signal)).find((entry) => entry.path === 'a')?.attributes
  }
  expect(await attributes()).toBeUndefined()
  const { code } = await run('setfattr', ['-n', 'user.x', '-v', '1', join(src, 'a')], { okCodes: [0, 1] }).catch(
    () => ({ code: 1 }),
  )
  if (code !== 0) return
  expect(await attributes()).toMatch(/^sha256:/)
  await settle()
  expect(await attributes()).toMatch(/^sha256:/)
  expect(await attributes()).toMatch(/^sha256:/)
})
