import { createHash } from 'node:crypto'
import { closeSync, openSync, writeSync } from 'node:fs'
import { type Compression, compressSmall, openCompressor, sendThrough } from './compression.ts'

/** A layer's blob as it was written to a file. Digests are spelled `sha256:…`. */
export interface PackedLayer {
  digest: string
  sizeBytes: number
  diffId: string
  uncompressedBytes: number
}

/** Archives up to this size are compressed in this process: starting a program takes longer. */
const SMALL_BYTES = 1024 * 1024

/**
 * Writes the compressed archive to `path` and hashes both forms on the way. The archive's size alone decides how it is
 * compressed, so equal archives give equal blobs. A chunk may be reused once the next one is asked for.
 */
export async function packLayer(
  tar: AsyncIterable<Buffer> | Iterable<Buffer>,
  to: { path: string; compression: Compression; level?: number | null },
): Promise<PackedLayer> {
  const diff = createHash('sha256')
  let uncompressedBytes = 0
  const source = toAsync(tar)
  const hashed = async function* (): AsyncGenerator<Buffer> {
    for await (const chunk of source) {
      diff.update(chunk)
      uncompressedBytes += chunk.length
      yield chunk
    }
  }
  const blob = await packHashed(hashed(), to)
  return { ...blob, diffId: `sha256:${diff.digest('hex')}`, uncompressedBytes }
}

/** The same for an archive whose reader hashes it. */
export async function packHashed(
  tar: AsyncGenerator<Buffer>,
  to: { path: string; compression: Compression; level?: number | null },
): Promise<{ digest: string; sizeBytes: number }> {
  using blob = new HashedFile(to.path)
  await compress(tar, blob, { compression: to.compression, level: to.level ?? null })
  return blob.finish()
}

async function* toAsync(tar: AsyncIterable<Buffer> | Iterable<Buffer>): AsyncGenerator<Buffer> {
  yield* tar
}

async function compress(
  tar: AsyncGenerator<Buffer>,
  blob: HashedFile,
  { compression, level }: { compression: Compression; level: number | null },
): Promise<void> {
  const head = await takeHead(tar)
  if (head.isAll) {
    blob.write(compressSmall(compression, head.bytes, level))
    return
  }
  const all = async function* (): AsyncGenerator<Buffer> {
    yield head.bytes
    yield* tar
  }
  if (compression === 'none') for await (const chunk of all()) blob.write(chunk)
  else await sendThrough(all(), await openCompressor(compression, level), (chunk) => blob.write(chunk))
}

async function takeHead(tar: AsyncGenerator<Buffer>): Promise<{ bytes: Buffer; isAll: boolean }> {
  const chunks: Buffer[] = []
  let sizeBytes = 0
  while (sizeBytes <= SMALL_BYTES) {
    const next = await tar.next()
    if (next.done) return { bytes: Buffer.concat(chunks), isAll: true }
    chunks.push(Buffer.from(next.value))
    sizeBytes += next.value.length
  }
  return { bytes: Buffer.concat(chunks), isAll: false }
}

/** A file that knows the digest of what was written to it. */
class HashedFile implements Disposable {
  readonly #fd: number
  readonly #hash = createHash('sha256')
  #sizeBytes = 0

  constructor(path: string) {
    this.#fd = openSync(path, 'w', 0o644)
  }

  write(chunk: Buffer): void {
    this.#hash.update(chunk)
    this.#sizeBytes += chunk.length
    for (let at = 0; at < chunk.length; ) at += writeSync(this.#fd, chunk, at)
  }

  finish(): { digest: string; sizeBytes: number } {
    return { digest: `sha256:${this.#hash.digest('hex')}`, sizeBytes: this.#sizeBytes }
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd)
  }
}
