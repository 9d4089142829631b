import { createHash } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'

/** A chunk of the source at most; larger ones are none of ours. */
const CHUNK_BYTES = 256 * 1024
/** Others run after so many chunks: what is ready has to flow on. */
const CHUNKS_PER_TURN = 4

/** What a source turned out to be. */
export interface HashedArchive {
  diffId: string
  uncompressedBytes: number
}

/**
 * The chunks of a source whose reader may be slower: up to `maxBytes` of them wait in memory. They are hashed as they
 * are read, and `onHashed` is told when the source has ended, before the last ones were taken. Chunks are lent: each is
 * valid until the next one is asked for, at either end.
 */
export async function* readAhead(
  source: Iterable<Buffer>,
  { maxBytes, onHashed }: { maxBytes: number; onHashed: (tar: HashedArchive) => void },
): AsyncGenerator<Buffer> {
  const queue = new LentChunks(Math.max(1, Math.floor(maxBytes / CHUNK_BYTES)))
  const filled = fill(source, queue, onHashed)
  filled.catch(() => {})
  try {
    for (let chunk = await queue.take(); chunk; chunk = await queue.take()) yield chunk
    await filled
  } finally {
    // Whoever stops reading early must not leave a reader of files behind.
    queue.close()
    await filled.catch(() => {})
  }
}

async function fill(
  source: Iterable<Buffer>,
  queue: LentChunks,
  onHashed: (tar: HashedArchive) => void,
): Promise<void> {
  const hash = createHash('sha256')
  let count = 0
  let uncompressedBytes = 0
  try {
    for (const chunk of source) {
      hash.update(chunk)
      uncompressedBytes += chunk.length
      if (!(await queue.put(chunk))) return
      if (++count % CHUNKS_PER_TURN === 0) await nextTurn()
    }
    onHashed({ diffId: `sha256:${hash.digest('hex')}`, uncompressedBytes })
  } finally {
    queue.end()
  }
}

/** A queue of copied chunks whose buffers go round. */
class LentChunks {
  readonly #maxChunks: number
  readonly #waiting: Buffer[] = []
  readonly #free: Buffer[] = []
  #lent: Buffer | null = null
  #isEnded = false
  #isClosed = false
  #bell = Promise.withResolvers<void>()

  constructor(maxChunks: number) {
    this.#maxChunks = maxChunks
  }

  /** Waits while the queue is full; false where nobody reads any more. */
  async put(chunk: Buffer): Promise<boolean> {
    while (this.#waiting.length >= this.#maxChunks && !this.#isClosed) await this.#bell.promise
    if (this.#isClosed) return false
    const space = chunk.length > CHUNK_BYTES ? null : (this.#free.pop() ?? Buffer.allocUnsafeSlow(CHUNK_BYTES))
    if (space) chunk.copy(space)
    this.#waiting.push(space ? space.subarray(0, chunk.length) : Buffer.from(chunk))
    this.#ring()
    return true
  }

  /** The next chunk; the one before is ours again. Null is the end. */
  async take(): Promise<Buffer | null> {
    if (this.#lent?.buffer.byteLength === CHUNK_BYTES) this.#free.push(Buffer.from(this.#lent.buffer))
    this.#lent = null
    while (this.#waiting.length === 0 && !this.#isEnded) await this.#bell.promise
    this.#lent = this.#waiting.shift() ?? null
    this.#ring()
    return this.#lent
  }

  end(): void {
    this.#isEnded = true
    this.#ring()
  }

  close(): void {
    this.#isClosed = true
    this.#ring()
  }

  #ring(): void {
    this.#bell.resolve()
    this.#bell = Promise.withResolvers()
  }
}
