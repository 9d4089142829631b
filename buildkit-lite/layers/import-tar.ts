import { SlipwayError } from '#domain/errors'
import type { BlobStore } from './blob-store.ts'
import { type Filter, openDecompressor, openProgram, readThrough } from './compression.ts'
import { type CreatedLayer, commitLayer, type LayerOptions } from './create-layer.ts'
import { normaliseTar } from './normalise-tar.ts'
import { packLayer } from './pack-layer.ts'

/** The first bytes of each compressed format. */
const MAGIC = {
  gzip: [0x1f, 0x8b],
  zstd: [0x28, 0xb5, 0x2f, 0xfd],
  xz: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00],
  bzip2: [0x42, 0x5a, 0x68],
} as const
const MAGIC_BYTES = 6

/** Makes a tar archive, plain or in gzip, zstd, xz or bzip2, one layer. Streams: nothing is unpacked to disk. */
export async function importTar(
  archive: AsyncIterable<Uint8Array>,
  options: Pick<LayerOptions, 'compression'>,
  blobs: BlobStore,
  signal: AbortSignal,
): Promise<CreatedLayer> {
  const warnings: string[] = []
  const tar = normaliseTar(await decompress(archive, signal), (message) => warnings.push(message))
  await using staged = await blobs.stage()
  const packed = await packLayer(tar, { path: staged.path, compression: options.compression })
  return { ...(await commitLayer(staged, packed, options.compression)), warnings }
}

async function decompress(archive: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<AsyncIterable<Buffer>> {
  const chunks = toBuffers(archive, signal)
  const head = await takeHead(chunks)
  const all = async function* (): AsyncGenerator<Buffer> {
    yield head
    yield* chunks
  }
  const filter = await openFilter(head)
  return filter === null ? all() : readThrough(all(), filter)
}

/** Null where the bytes are not compressed. */
async function openFilter(head: Buffer): Promise<Filter | null> {
  const isFormat = (name: keyof typeof MAGIC) => MAGIC[name].every((byte, index) => head[index] === byte)
  if (isFormat('gzip')) return openDecompressor('gzip', false)
  if (isFormat('zstd')) return openDecompressor('zstd', false)
  const program = (['xz', 'bzip2'] as const).find(isFormat)
  if (!program) return null
  const filter = await openProgram(program, ['-d', '-c'])
  if (filter) return filter
  throw new SlipwayError('unsupported', `The archive is compressed by ${program}, which is not installed`)
}

async function* toBuffers(archive: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncGenerator<Buffer> {
  for await (const chunk of archive) {
    signal.throwIfAborted()
    yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
  }
}

async function takeHead(chunks: AsyncGenerator<Buffer>): Promise<Buffer> {
  let head = Buffer.alloc(0)
  while (head.length < MAGIC_BYTES) {
    const next = await chunks.next()
    if (next.done) break
    head = Buffer.concat([head, next.value])
  }
  return head
}
