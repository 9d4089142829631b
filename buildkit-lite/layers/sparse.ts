import { SlipwayError } from '#domain/errors'
import { readNumber } from './decode-header.ts'
import { BLOCK_BYTES, type TarEntry } from './tar-entry.ts'

/**
 * Sparse members in the forms of GNU tar: the holes of a file are not stored, a map says where the stored bytes belong.
 * https://www.gnu.org/software/tar/manual/html_section/Sparse-Formats.html
 */
export interface SparseMember {
  /** With the name and size that the file has when it is unpacked. */
  entry: TarEntry
  /** Null where the map is in front of the stored bytes. */
  regions: Region[] | null
  /** Whether further blocks of the map come before the content. */
  isOpen: boolean
}

/** Bytes of a file that are stored. */
interface Region {
  at: number
  bytes: number
}

const HEADER_MAP = { at: 386, regions: 4, more: 482, size: 483 }
const BLOCK_MAP = { at: 0, regions: 21, more: 504 }
const FIELD_BYTES = 12
/** Of a map in front of the content; more is an attack. */
const MAX_MAP_BYTES = 1024 * 1024

/** The old form, in the header itself and in blocks behind it. */
export function sparseHeader(block: Buffer, entry: TarEntry): SparseMember {
  const sizeBytes = readNumber(block, HEADER_MAP.size, FIELD_BYTES)
  return {
    entry: { ...entry, sizeBytes },
    regions: readRegions(block, HEADER_MAP),
    isOpen: block[HEADER_MAP.more] === 1,
  }
}

/** A block behind an old header. */
export function extendMap(member: SparseMember, block: Buffer): void {
  member.regions?.push(...readRegions(block, BLOCK_MAP))
  member.isOpen = block[BLOCK_MAP.more] === 1
}

function readRegions(block: Buffer, place: { at: number; regions: number }): Region[] {
  const regions: Region[] = []
  for (let index = 0; index < place.regions; index++) {
    const at = place.at + index * 2 * FIELD_BYTES
    if (block[at] === 0) break
    regions.push({ at: readNumber(block, at, FIELD_BYTES), bytes: readNumber(block, at + FIELD_BYTES, FIELD_BYTES) })
  }
  return regions
}

/** The forms with PAX records; null for a member that is not sparse. */
export function sparseRecords(records: ReadonlyMap<string, Buffer>, entry: TarEntry): SparseMember | null {
  const text = (name: string) => records.get(`GNU.sparse.${name}`)?.toString('latin1')
  const size = text('realsize') ?? text('size')
  if (size === undefined) return null
  const map = text('map')
  const numbers = map === undefined ? null : map.split(',').filter(Boolean).map(Number)
  const named = { ...entry, path: text('name') ?? entry.path, sizeBytes: Number(size) }
  return { entry: named, regions: numbers && pair(numbers), isOpen: false }
}

function pair(numbers: readonly number[]): Region[] {
  const starts = numbers.filter((_, index) => index % 2 === 0)
  return starts.map((at, index) => ({ at, bytes: numbers[index * 2 + 1] ?? Number.NaN }))
}

/** Told what a sparse file has, from its start to its end. */
export interface SparseTarget {
  content(piece: Buffer): void
  /** So many zeros. */
  hole(bytes: number): void
}

/** Puts stored bytes to where they belong. */
export class SparseContent {
  readonly #target: SparseTarget
  readonly #member: SparseMember
  #regions: readonly Region[] | null = null
  #map = Buffer.alloc(0)
  #at = 0
  #next = 0

  constructor(member: SparseMember, target: SparseTarget) {
    this.#member = member
    this.#target = target
  }

  content(piece: Buffer): void {
    let rest = piece
    if (!this.#member.regions) rest = this.#takeMap(piece)
    while (rest.length > 0) {
      const region = this.#checked()[this.#next]
      if (!region) throw this.#wrong('more content than its map')
      if (this.#at < region.at) this.#skipTo(region.at)
      const part = rest.subarray(0, region.at + region.bytes - this.#at)
      this.#target.content(part)
      this.#at += part.length
      if (this.#at === region.at + region.bytes) this.#next++
      rest = rest.subarray(part.length)
    }
  }

  /** To be called behind the last of the stored bytes. */
  end(): void {
    if (this.#next < this.#checked().length) throw this.#wrong('less content than its map')
    this.#skipTo(this.#member.entry.sizeBytes)
  }

  #skipTo(at: number): void {
    if (at > this.#at) this.#target.hole(at - this.#at)
    this.#at = at
  }

  /** The map as lines of numbers, how many regions first, filled up to a block; returns what is behind it. */
  #takeMap(piece: Buffer): Buffer {
    this.#map = Buffer.concat([this.#map, piece])
    if (this.#map.length > MAX_MAP_BYTES) throw this.#wrong(`a map of more than ${MAX_MAP_BYTES} bytes`)
    const lines = this.#map.toString('latin1').split('\n')
    const numbers = lines.slice(0, -1).map(Number)
    const count = (numbers[0] ?? Number.NaN) * 2 + 1
    if (!(numbers.length >= count)) return Buffer.alloc(0)
    const mapBytes = lines.slice(0, count).reduce((sum, line) => sum + line.length + 1, 0)
    const contentAt = Math.ceil(mapBytes / BLOCK_BYTES) * BLOCK_BYTES
    if (this.#map.length < contentAt) return Buffer.alloc(0)
    this.#member.regions = pair(numbers.slice(1, count))
    return this.#map.subarray(contentAt)
  }

  /** Regions in order, inside the file; those without bytes only mark its end. */
  #checked(): readonly Region[] {
    if (this.#regions) return this.#regions
    const { regions, entry } = this.#member
    if (!regions) throw this.#wrong('no map of its content')
    let end = 0
    for (const { at, bytes } of regions) {
      if (!Number.isSafeInteger(at) || !Number.isSafeInteger(bytes) || at < end || bytes < 0)
        throw this.#wrong('a map that is out of order')
      end = at + bytes
    }
    if (!Number.isSafeInteger(entry.sizeBytes) || end > entry.sizeBytes)
      throw this.#wrong(`a map that ends at ${end}, expected at most its size of ${entry.sizeBytes}`)
    this.#regions = regions.filter(({ bytes }) => bytes > 0)
    return this.#regions
  }

  #wrong(what: string): SlipwayError {
    return new SlipwayError('invalid', `The sparse member ${this.#member.entry.path} of the archive has ${what}`)
  }
}
