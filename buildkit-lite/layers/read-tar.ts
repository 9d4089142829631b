import { SlipwayError } from '#domain/errors'
import {
  applyPax,
  decodeHeader,
  decodePax,
  type Extension,
  extensionOf,
  kindOf,
  type RawHeader,
} from './decode-header.ts'
import { extendMap, SparseContent, type SparseMember, sparseHeader, sparseRecords } from './sparse.ts'
import { BLOCK_BYTES, paddingOf, type TarEntry } from './tar-entry.ts'

/** Told what is in an archive, in order: each entry, then its content in pieces that are valid only during the call. */
export interface TarVisitor {
  entry(entry: TarEntry): void
  content(piece: Buffer): void
  /** So many zeros of the current entry that are not stored. Archives with such entries are refused without it. */
  hole?(bytes: number): void
  /** The current entry's content is complete. */
  entryEnd(): void
}

/** Long names and xattrs; more is an attack. */
const MAX_EXTENSION_BYTES = 1024 * 1024
const EMPTY: ReadonlyMap<string, Buffer> = new Map()

/** Reads a tar archive that comes in pieces of any size. Understands ustar, PAX, GNU tar and old tar. */
export class TarReader {
  #visitor: TarVisitor
  /** Bytes of an incomplete block. */
  #partial = Buffer.alloc(BLOCK_BYTES)
  #partialBytes = 0
  /** Content still to come, and what it is for. */
  #remaining = 0
  #padding = 0
  #target: 'entry' | 'skipped' | Extension = 'skipped'
  #extension: Buffer[] = []
  #globalRecords: ReadonlyMap<string, Buffer> = EMPTY
  #records: ReadonlyMap<string, Buffer> = EMPTY
  #longName: string | null = null
  #longLink: string | null = null
  #isEnded = false
  /** The member that is being read, where it is sparse. */
  #sparse: { member: SparseMember; content: SparseContent; storedBytes: number } | null = null

  constructor(visitor: TarVisitor) {
    this.#visitor = visitor
  }

  write(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length && !this.#isEnded) {
      if (this.#remaining > 0) at += this.#takeContent(chunk, at)
      else if (this.#padding > 0) at += this.#skipPadding(chunk.length - at)
      else at += this.#takeHeader(chunk, at)
    }
  }

  /** To be called after the last piece; an archive that breaks off is an error. */
  end(): void {
    if (this.#remaining > 0 || this.#partialBytes > 0 || this.#sparse) {
      throw new SlipwayError('invalid', 'The archive breaks off in the middle of a member')
    }
  }

  #takeContent(chunk: Buffer, at: number): number {
    const piece = chunk.subarray(at, at + this.#remaining)
    this.#remaining -= piece.length
    if (this.#target === 'entry') (this.#sparse?.content ?? this.#visitor).content(piece)
    else if (this.#target !== 'skipped') this.#extension.push(Buffer.from(piece))
    if (this.#remaining === 0) this.#finishContent()
    return piece.length
  }

  #skipPadding(available: number): number {
    const skipped = Math.min(available, this.#padding)
    this.#padding -= skipped
    return skipped
  }

  #takeHeader(chunk: Buffer, at: number): number {
    if (this.#partialBytes === 0 && chunk.length - at >= BLOCK_BYTES) {
      this.#startMember(chunk.subarray(at, at + BLOCK_BYTES))
      return BLOCK_BYTES
    }
    const copied = chunk.copy(this.#partial, this.#partialBytes, at)
    this.#partialBytes += copied
    if (this.#partialBytes === BLOCK_BYTES) {
      this.#partialBytes = 0
      this.#startMember(this.#partial)
    }
    return copied
  }

  #startMember(block: Buffer): void {
    if (this.#sparse) this.#extendSparse(this.#sparse, block)
    else this.#startNew(block)
    if (this.#remaining === 0 && !this.#isEnded && !this.#hasOpenMap()) this.#finishContent()
  }

  #startNew(block: Buffer): void {
    const header = decodeHeader(block)
    if (header === null) {
      this.#isEnded = true
      return
    }
    const extension = extensionOf(header.flag)
    if (extension !== null) this.#startExtension(extension, header.entry.sizeBytes)
    else this.#startEntry(block, header)
  }

  #startExtension(extension: Extension, sizeBytes: number): void {
    if (sizeBytes < 0 || sizeBytes > MAX_EXTENSION_BYTES) {
      throw new SlipwayError(
        'too-large',
        `The archive has a header of ${sizeBytes} bytes, at most ${MAX_EXTENSION_BYTES}`,
      )
    }
    this.#extension = []
    this.#expect(extension, sizeBytes)
  }

  #startEntry(block: Buffer, { flag, entry: header }: RawHeader): void {
    const records = this.#globalRecords.size === 0 ? this.#records : new Map([...this.#globalRecords, ...this.#records])
    const named = { ...header, path: this.#longName ?? header.path, linkTarget: this.#longLink ?? header.linkTarget }
    const entry = records.size === 0 ? named : applyPax(named, records)
    this.#records = EMPTY
    this.#longName = null
    this.#longLink = null
    const kind = kindOf(flag)
    if (entry.sizeBytes < 0) throw new SlipwayError('invalid', `${entry.path} has the size ${entry.sizeBytes}`)
    if (kind === null) {
      this.#expect('skipped', entry.sizeBytes)
      return
    }
    // Only files have content; some writers state a size for others, for which none follows.
    const sizeBytes = kind === 'file' ? entry.sizeBytes : 0
    const member = flag === 'S' ? sparseHeader(block, entry) : kind === 'file' ? sparseRecords(records, entry) : null
    if (member) return this.#startSparse(member, sizeBytes)
    this.#expect('entry', sizeBytes)
    this.#visitor.entry({ ...entry, kind, sizeBytes, path: entry.path.replace(/\/+$/, '') })
  }

  #startSparse(member: SparseMember, storedBytes: number): void {
    const { entry } = member
    const hole = this.#visitor.hole?.bind(this.#visitor)
    if (!hole)
      throw new SlipwayError('unsupported', `${entry.path} is a sparse member of the archive, expected a plain one`)
    const content = new SparseContent(member, { content: (piece) => this.#visitor.content(piece), hole })
    this.#sparse = { member, content, storedBytes }
    this.#expect('entry', member.isOpen ? 0 : storedBytes)
    this.#visitor.entry({ ...entry, kind: 'file' })
  }

  #extendSparse({ member, storedBytes }: { member: SparseMember; storedBytes: number }, block: Buffer): void {
    extendMap(member, block)
    if (!member.isOpen) this.#expect('entry', storedBytes)
  }

  #hasOpenMap(): boolean {
    return this.#sparse?.member.isOpen ?? false
  }

  #expect(target: 'entry' | 'skipped' | Extension, sizeBytes: number): void {
    this.#target = target
    this.#remaining = sizeBytes
    this.#padding = paddingOf(sizeBytes)
  }

  #finishContent(): void {
    const target = this.#target
    this.#sparse?.content.end()
    this.#sparse = null
    if (target === 'entry') this.#visitor.entryEnd()
    if (target === 'entry' || target === 'skipped') return
    const content = Buffer.concat(this.#extension)
    this.#extension = []
    if (target === 'pax') this.#records = decodePax(content)
    else if (target === 'pax-global') this.#globalRecords = new Map([...this.#globalRecords, ...decodePax(content)])
    else if (target === 'long-name') this.#longName = cString(content)
    else this.#longLink = cString(content)
  }
}

function cString(content: Buffer): string {
  const end = content.indexOf(0)
  return content.toString('latin1', 0, end < 0 ? content.length : end)
}
