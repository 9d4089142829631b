import { createHash } from 'node:crypto'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { Digest } from '#domain/digest'
import { openBlobStore } from '../../../buildkit-lite/layers/open-blob-store.ts'
import { openLazyBlobs } from '../../../buildkit-lite/remote-cache/lazy-blobs.ts'
import { LostLayerError, withoutLostLayers } from '../../../buildkit-lite/remote-cache/lost-layer.ts'

const never = new AbortController().signal
const digestOf = (content: string): Digest =>
  Digest.parse(`sha256:${createHash('sha256').update(content).digest('hex')}`)

async function openStore(content: string, served = content) {
  const dir = await mkdtempDisposable(join(tmpdir(), 'slip-lazy-'))
  const local = await openBlobStore(dir.path)
  const digest = digestOf(content)
  const losses: string[] = []
  let opened = 0
  const remote = new Map([
    [digest, { sizeBytes: content.length, open: async () => (opened++, Readable.from([Buffer.from(served)])) }],
  ])
  const blobs = openLazyBlobs(local, remote, ({ message }) => losses.push(message))
  return { local, blobs, digest, losses, opened: () => opened, [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose]() }
}

test('a blob that is elsewhere is there, and comes once when it is read', async () => {
  await using store = await openStore('content')
  const { blobs, local, digest } = store
  expect([await blobs.has(digest), await local.has(digest), store.opened()]).toMatchObject([{ sizeBytes: 7 }, null, 0])
  const [one, two] = await Promise.all([blobs.read(digest, never), blobs.read(digest, never), blobs.pathOf(digest)])
  expect([await text(one), await text(two), store.opened()]).toEqual(['content', 'content', 1])
  expect(await local.has(digest)).toEqual({ sizeBytes: 7 })
})

test('a blob that is not what it is called is lost for everyone, and there again once it was made', async () => {
  await using store = await openStore('content', 'damaged')
  const { blobs, local, digest } = store
  await expect(Promise.all([blobs.read(digest, never), blobs.pathOf(digest)])).rejects.toThrow(LostLayerError)
  await expect(blobs.pathOf(digest)).rejects.toThrow(LostLayerError)
  expect([await blobs.has(digest), store.losses.length, store.opened()]).toEqual([null, 1, 1])
  await local.write(Readable.from([Buffer.from('content')]), { digest }, never)
  expect(await text(await blobs.read(digest, never))).toBe('content')
})

test('work is done again for a lost layer, whatever the loss is wrapped in, and for nothing else', async () => {
  const lost = Digest.parse(`sha256:${'0'.repeat(64)}`)
  const failures = [new Error('x', { cause: new LostLayerError(lost, 'gone') }), new LostLayerError(lost, '')]
  const work = async (): Promise<string> => {
    const failure = failures.shift()
    if (failure) throw failure
    return 'done'
  }
  expect(await withoutLostLayers(work)).toBe('done')
  await expect(withoutLostLayers(() => Promise.reject(new Error('other')))).rejects.toThrow('other')
})
