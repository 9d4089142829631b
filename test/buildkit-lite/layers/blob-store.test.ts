import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openBlobStore } from '../../../buildkit-lite/layers/open-blob-store.ts'
import { digestOf } from '../../../buildkit-lite/registry/fetch-manifest.ts'
import { exited, spawn } from '../../../core/host/exec.ts'

const signal = new AbortController().signal
const content = Buffer.from('content')
const digest = digestOf(content)
let dir: string

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'slip-blobs-'))
})

afterEach(() => rm(dir, { recursive: true, force: true }))

async function* pieces(...parts: string[]): AsyncGenerator<Buffer> {
  for (const part of parts) yield Buffer.from(part)
}

test('a blob that was written is there for every store of the directory', async () => {
  const store = await openBlobStore(dir)
  expect(await store.has(digest)).toBe(null)
  await store.write(pieces('con', 'tent'), { digest, sizeBytes: 7 }, signal)
  const other = await openBlobStore(dir)
  expect(await other.has(digest)).toEqual({ sizeBytes: 7 })
  expect(await readFile(await other.pathOf(digest))).toEqual(content)
  expect(await buffer(await other.read(digest, signal))).toEqual(content)
})

test.for<[string, string[], number, RegExp]>([
  ['other bytes', ['other!!'], 7, /digest/],
  ['more bytes', ['content', '!'], 7, /more than the expected 7 bytes/],
  ['fewer bytes', ['con'], 7, /has 3 bytes, expected 7/],
])('%s than promised leave nothing behind', async ([, parts, sizeBytes, message]) => {
  const store = await openBlobStore(dir)
  await expect(store.write(pieces(...parts), { digest, sizeBytes }, signal)).rejects.toThrow(message)
  expect(await store.has(digest)).toBe(null)
  expect(await readdir(join(dir, 'staged'))).toEqual([])
})

test('an abort ends a write with its reason', async () => {
  const store = await openBlobStore(dir)
  const aborted = AbortSignal.abort(new Error('cancelled by a person'))
  await expect(store.write(pieces('content'), { digest }, aborted)).rejects.toThrow('cancelled by a person')
})

test('a staged blob is removed unless it is committed', async () => {
  const store = await openBlobStore(dir)
  await using kept = await store.stage()
  {
    await using dropped = await store.stage()
    await writeFile(dropped.path, content)
    await writeFile(kept.path, content)
  }
  expect(await readdir(join(dir, 'staged'))).toHaveLength(1)
  await expect(kept.commit(digest, 8)).rejects.toThrow(/has 7 bytes, expected 8/)
  await expect(store.pathOf(digest)).rejects.toMatchObject({ kind: 'not-found' })
})

test('opening removes what dead writers left, whatever namespace they were in, and nothing of live ones', async () => {
  const store = await openBlobStore(dir)
  await using live = await store.stage()
  const module = join(import.meta.dirname, '../../../buildkit-lite/layers/open-blob-store.ts')
  const dying = `
    const { openBlobStore } = await import(${JSON.stringify(module)})
    await (await openBlobStore(${JSON.stringify(dir)})).stage()
    process.kill(process.pid, 'SIGKILL')`
  await exited(spawn(process.execPath, ['--input-type=module', '-e', dying], { stdio: 'ignore' }))
  expect(await readdir(join(dir, 'staged'))).toHaveLength(2)
  await openBlobStore(dir)
  expect(await readdir(join(dir, 'staged'))).toEqual([basename(live.path)])
  await writeFile(live.path, content)
  await live.commit(digest, content.length)
  expect(await readdir(join(dir, 'staged'))).toEqual([])
})
