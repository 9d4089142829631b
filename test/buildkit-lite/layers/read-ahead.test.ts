import { createHash } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { type HashedArchive, readAhead } from '../../../buildkit-lite/layers/read-ahead.ts'

const CHUNK = 256 * 1024

/** Chunks of one buffer that is written over, as a tar writer yields them. */
function* chunks(sizes: readonly number[], onRead: () => void = () => {}): Generator<Buffer> {
  const buffer = Buffer.alloc(Math.max(...sizes))
  for (const [index, size] of sizes.entries()) {
    onRead()
    yield buffer.fill(index + 1).subarray(0, size)
  }
}

test('all bytes come in order, and their hash before the last are taken', async () => {
  const sizes = [CHUNK, 100, CHUNK, CHUNK + 5, 1, ...Array.from({ length: 40 }, () => CHUNK)]
  const hashed: HashedArchive[] = []
  const got = createHash('sha256')
  const expected = createHash('sha256')
  for (const chunk of chunks(sizes)) expected.update(chunk)
  const diffId = `sha256:${expected.digest('hex')}`
  let bytesAtHash = -1
  let bytes = 0
  const onHashed = (archive: HashedArchive) => {
    hashed.push(archive)
    bytesAtHash = bytes
  }
  for await (const chunk of readAhead(chunks(sizes), { maxBytes: 16 * CHUNK, onHashed })) {
    got.update(chunk)
    bytes += chunk.length
    await nextTurn()
  }
  expect(`sha256:${got.digest('hex')}`).toBe(diffId)
  expect(hashed).toEqual([{ diffId, uncompressedBytes: bytes }])
  expect(bytesAtHash).toBeLessThan(bytes)
})

test('no more waits in memory than is allowed', async () => {
  let read = 0
  const sizes = Array.from({ length: 50 }, () => CHUNK)
  const ahead = readAhead(
    chunks(sizes, () => read++),
    { maxBytes: 4 * CHUNK, onHashed: () => {} },
  )
  let taken = 0
  for await (const _chunk of ahead) {
    taken++
    for (let turn = 0; turn < 5; turn++) await nextTurn()
    expect(read - taken).toBeLessThanOrEqual(5)
  }
  expect(taken).toBe(50)
})

test('a source that fails, fails its reader; a reader that leaves ends the source', async () => {
  function* failing(): Generator<Buffer> {
    yield Buffer.alloc(10)
    throw new Error('the file is gone')
  }
  const hashed: HashedArchive[] = []
  const options = { maxBytes: CHUNK, onHashed: (archive: HashedArchive) => hashed.push(archive) }
  await expect(Array.fromAsync(readAhead(failing(), options))).rejects.toThrow('the file is gone')

  let closed = false
  function* endless(): Generator<Buffer> {
    try {
      for (;;) yield Buffer.alloc(CHUNK)
    } finally {
      closed = true
    }
  }
  for await (const _chunk of readAhead(endless(), options)) break
  expect(closed).toBe(true)
  expect(hashed).toEqual([])
})
