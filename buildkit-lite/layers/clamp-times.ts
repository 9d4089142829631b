import { ARCHIVE_END, encodeHeader } from './encode-header.ts'
import { TarReader, type TarVisitor } from './read-tar.ts'
import { paddingOf, type TarEntry } from './tar-entry.ts'

/**
 * The same archive with no time later than `latestS`, in seconds since 1970; whiteouts and everything else stay. A
 * chunk may be reused once the next one is asked for.
 */
export async function* clampTimes(archive: AsyncIterable<Uint8Array>, latestS: number): AsyncGenerator<Buffer> {
  const clamping = new Clamping(latestS)
  const reader = new TarReader(clamping)
  for await (const chunk of archive) {
    reader.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength))
    yield* clamping.take()
  }
  reader.end()
  yield* clamping.take()
  yield ARCHIVE_END
}

class Clamping implements TarVisitor {
  readonly #latestS: number
  #ready: Buffer[] = []
  #padding = 0

  constructor(latestS: number) {
    this.#latestS = latestS
  }

  /** What was written since the last call. */
  take(): Buffer[] {
    return this.#ready.splice(0)
  }

  entry(entry: TarEntry): void {
    this.#ready.push(encodeHeader({ ...entry, mtimeS: Math.min(entry.mtimeS, this.#latestS) }))
    this.#padding = paddingOf(entry.sizeBytes)
  }

  content(piece: Buffer): void {
    this.#ready.push(Buffer.from(piece))
  }

  entryEnd(): void {
    if (this.#padding > 0) this.#ready.push(Buffer.alloc(this.#padding))
  }
}
