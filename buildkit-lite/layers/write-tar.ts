import { closeSync, openSync, readSync } from 'node:fs'
import { SlipwayError } from '#domain/errors'
import { ARCHIVE_END, encodeHeader } from './encode-header.ts'
import { bytes, type TarSource } from './file-entry.ts'
import { paddingOf } from './tar-entry.ts'

/** About what a pipe to the compressor takes at once: filling one takes less time than draining the one before. */
const CHUNK_BYTES = 256 * 1024

/**
 * The archive of the given members, in chunks. All of them lie in one buffer: a chunk is valid until the next one is
 * asked for. Reading is synchronous, which is many times faster than streams and belongs into a worker thread.
 */
export function* writeTar(entries: Iterable<TarSource>): Generator<Buffer> {
  const chunk = new ChunkBuffer(CHUNK_BYTES)
  for (const entry of entries) {
    yield* chunk.append(encodeHeader(entry))
    if (entry.contentPath === null) continue
    yield* appendFile(chunk, entry.contentPath, entry.sizeBytes)
    yield* chunk.append(ZEROS.subarray(0, paddingOf(entry.sizeBytes)))
  }
  yield* chunk.append(ARCHIVE_END)
  yield* chunk.flush()
}

const ZEROS = Buffer.alloc(512)

/** Collects bytes into one buffer and yields it whenever it is full. */
class ChunkBuffer {
  readonly #buffer: Buffer
  #used = 0

  constructor(sizeBytes: number) {
    this.#buffer = Buffer.allocUnsafeSlow(sizeBytes)
  }

  *append(data: Buffer): Generator<Buffer> {
    for (let at = 0; at < data.length; ) {
      const copied = data.copy(this.#buffer, this.#used, at)
      at += copied
      this.#used += copied
      if (this.#used === this.#buffer.length) yield* this.flush()
    }
  }

  *flush(): Generator<Buffer> {
    if (this.#used === 0) return
    const filled = this.#buffer.subarray(0, this.#used)
    this.#used = 0
    yield filled
  }

  /** The free end of the buffer, to be read into, and then told how much. */
  free(): Buffer {
    return this.#buffer.subarray(this.#used)
  }

  *advance(count: number): Generator<Buffer> {
    this.#used += count
    if (this.#used === this.#buffer.length) yield* this.flush()
  }
}

function* appendFile(chunk: ChunkBuffer, path: string, sizeBytes: number): Generator<Buffer> {
  const fd = openSync(bytes(path), 'r')
  try {
    for (let remaining = sizeBytes; remaining > 0; ) {
      const space = chunk.free()
      const count = readSync(fd, space, 0, Math.min(space.length, remaining), null)
      if (count === 0) {
        throw new SlipwayError('internal', `${path} lost ${remaining} of ${sizeBytes} bytes while it was read`)
      }
      remaining -= count
      yield* chunk.advance(count)
    }
  } finally {
    closeSync(fd)
  }
}
