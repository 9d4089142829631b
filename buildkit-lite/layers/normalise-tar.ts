import { SlipwayError } from '#domain/errors'
import { ARCHIVE_END, encodeHeader } from './encode-header.ts'
import { TarReader, type TarVisitor } from './read-tar.ts'
import { paddingOf, type TarEntry, WHITEOUT_PREFIX } from './tar-entry.ts'

/**
 * Any tar archive as the layer of an image: relative paths without `.` and `..`, headers as we write them, no sockets
 * and no names that would delete files of other layers. Members keep their order.
 */
export async function* normaliseTar(
  archive: AsyncIterable<Uint8Array>,
  warn: (message: string) => void,
): AsyncGenerator<Buffer> {
  const rewriter = new TarRewriter(warn)
  const reader = new TarReader(rewriter)
  for await (const chunk of archive) {
    reader.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength))
    yield* rewriter.take()
  }
  reader.end()
  yield* rewriter.take()
  yield ARCHIVE_END
}

/** Attributes that mean something in every image. */
const KEPT_XATTRS = /^(?:security\.capability$|user\.)/

class TarRewriter implements TarVisitor {
  readonly #warn: (message: string) => void
  #ready: Buffer[] = []
  #padding = 0
  #isSkipped = false

  constructor(warn: (message: string) => void) {
    this.#warn = warn
  }

  /** What was rewritten since the last call. */
  take(): Buffer[] {
    return this.#ready.splice(0)
  }

  entry(entry: TarEntry): void {
    const path = relativePath(entry.path)
    this.#isSkipped = path === '' || this.#isForbidden(path, entry)
    if (this.#isSkipped) return
    const linkTarget = entry.kind === 'hardlink' ? relativePath(entry.linkTarget) : entry.linkTarget
    const xattrs = new Map([...entry.xattrs].filter(([name]) => KEPT_XATTRS.test(name)))
    this.#ready.push(encodeHeader({ ...entry, path, xattrs, linkTarget: entry.kind === 'file' ? '' : linkTarget }))
    this.#padding = paddingOf(entry.sizeBytes)
  }

  content(piece: Buffer): void {
    if (!this.#isSkipped) this.#ready.push(Buffer.from(piece))
  }

  entryEnd(): void {
    if (!this.#isSkipped && this.#padding > 0) this.#ready.push(Buffer.alloc(this.#padding))
  }

  #isForbidden(path: string, { kind, deviceMajor, deviceMinor }: TarEntry): boolean {
    if (path.split('/').some((part) => part.startsWith(WHITEOUT_PREFIX))) {
      this.#warn(`${path} is left out of the layer: its name would delete other files`)
      return true
    }
    if (kind !== 'character-device' || deviceMajor !== 0 || deviceMinor !== 0) return false
    this.#warn(`${path} is left out of the layer: a device 0:0 would delete other files`)
    return true
  }
}

function relativePath(path: string): string {
  const parts: string[] = []
  for (const part of path.split('/')) {
    if (part === '..') throw new SlipwayError('invalid', `The archive has the path ${path}, expected one without ".."`)
    if (part !== '' && part !== '.') parts.push(part)
  }
  return parts.join('/')
}
