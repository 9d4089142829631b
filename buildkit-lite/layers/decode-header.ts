import { SlipwayError } from '#domain/errors'
import { type TarEntry, type TarKind, XATTR_RECORD } from './tar-entry.ts'

/** A header block before the extensions in front of it are applied. */
export interface RawHeader {
  flag: string
  entry: TarEntry
}

const KINDS: Readonly<Record<string, TarKind>> = {
  '\0': 'file',
  '0': 'file',
  '7': 'file',
  S: 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'character-device',
  '4': 'block-device',
  '5': 'directory',
  '6': 'fifo',
}

/** Flags of blocks that describe the member after them: PAX and GNU long names. */
export type Extension = 'pax' | 'pax-global' | 'long-name' | 'long-link'

const EXTENSIONS: Readonly<Record<string, Extension>> = {
  x: 'pax',
  X: 'pax',
  g: 'pax-global',
  L: 'long-name',
  K: 'long-link',
}

export function extensionOf(flag: string): Extension | null {
  return EXTENSIONS[flag] ?? null
}

/** The member kind of a flag; null for a member that is to be skipped, content and all. */
export function kindOf(flag: string): TarKind | null {
  return KINDS[flag] ?? null
}

/** Reads one block of ustar, GNU or old tar; null is an empty block, which ends the archive. */
export function decodeHeader(block: Buffer): RawHeader | null {
  if (block.every((byte) => byte === 0)) return null
  const path = text(block, 0, 100)
  if (!hasRightChecksum(block)) {
    throw new SlipwayError('invalid', `The archive has no tar header where one must be (near "${path.slice(0, 80)}")`)
  }
  const flag = String.fromCharCode(block[156] ?? 0)
  const isUstar = block.toString('latin1', 257, 263) === 'ustar\0'
  const prefix = isUstar ? text(block, 345, 155) : ''
  const fullPath = prefix === '' ? path : `${prefix}/${path}`
  // Old tar marked directories by the slash alone.
  const isOldDirectory = (flag === '\0' || flag === '0') && fullPath.endsWith('/')
  return {
    flag: isOldDirectory ? '5' : flag,
    entry: {
      path: fullPath,
      kind: 'file',
      mode: readNumber(block, 100, 8) & 0o7777,
      uid: readNumber(block, 108, 8),
      gid: readNumber(block, 116, 8),
      sizeBytes: readNumber(block, 124, 12),
      mtimeS: readNumber(block, 136, 12),
      linkTarget: text(block, 157, 100),
      deviceMajor: readNumber(block, 329, 8),
      deviceMinor: readNumber(block, 337, 8),
      xattrs: new Map(),
    },
  }
}

/** Reads the records of a PAX header: `LENGTH NAME=VALUE\n` in a row. Values may hold any byte, newlines too. */
export function decodePax(content: Buffer): Map<string, Buffer> {
  const records = new Map<string, Buffer>()
  for (let at = 0; at < content.length; ) {
    const space = content.indexOf(0x20, at)
    const length = Number(content.toString('latin1', at, space))
    const end = at + length
    const equals = content.indexOf(0x3d, space)
    if (!Number.isInteger(length) || end > content.length || equals < 0 || equals >= end || content[end - 1] !== 0x0a) {
      throw new SlipwayError('invalid', 'The archive has a malformed PAX record')
    }
    const name = content.toString('latin1', space + 1, equals)
    const value = Buffer.from(content.subarray(equals + 1, end - 1))
    if (SPARSE_PIECES.includes(name)) addToMap(records, value)
    else records.set(name, value)
    at = end
  }
  return records
}

/** The oldest form of a sparse map repeats these two; later ones have one record instead. */
const SPARSE_PIECES = ['GNU.sparse.offset', 'GNU.sparse.numbytes']
const SPARSE_MAP = 'GNU.sparse.map'

function addToMap(records: Map<string, Buffer>, value: Buffer): void {
  const known = records.get(SPARSE_MAP)
  records.set(SPARSE_MAP, known ? Buffer.concat([known, Buffer.from(','), value]) : value)
}

/** The entry with what a PAX header says about it. */
export function applyPax(entry: TarEntry, records: ReadonlyMap<string, Buffer>): TarEntry {
  const string = (name: string, fallback: string) => records.get(name)?.toString('latin1') ?? fallback
  const integer = (name: string, fallback: number) => {
    const value = records.get(name)
    return value === undefined ? fallback : wholeNumber(name, value.toString('latin1'))
  }
  const xattrs = new Map<string, Buffer>()
  for (const [name, value] of records) {
    if (name.startsWith(XATTR_RECORD)) xattrs.set(name.slice(XATTR_RECORD.length), value)
  }
  return {
    ...entry,
    path: string('path', entry.path),
    linkTarget: string('linkpath', entry.linkTarget),
    sizeBytes: integer('size', entry.sizeBytes),
    uid: integer('uid', entry.uid),
    gid: integer('gid', entry.gid),
    mtimeS: integer('mtime', entry.mtimeS),
    xattrs,
  }
}

/** Times may have a fraction, which we drop towards the past. */
function wholeNumber(name: string, value: string): number {
  const parsed = Math.floor(Number(value))
  if (value === '' || !Number.isSafeInteger(parsed) || (parsed < 0 && name !== 'mtime')) {
    throw new SlipwayError('invalid', `The archive has a PAX record ${name}=${value.slice(0, 40)}, expected a number`)
  }
  return parsed
}

function text(block: Buffer, offset: number, width: number): string {
  const end = block.indexOf(0, offset)
  return block.toString('latin1', offset, end < 0 || end > offset + width ? offset + width : end)
}

/** Octal digits, or GNU's base 256 with the top bit set, for numbers that octal cannot hold. */
export function readNumber(block: Buffer, offset: number, width: number): number {
  const first = block[offset] ?? 0
  if (first & 0x80) return base256(block.subarray(offset, offset + width))
  const digits = text(block, offset, width).trim()
  if (digits === '') return 0
  if (!/^[0-7]+$/.test(digits))
    throw new SlipwayError('invalid', `The archive has the number "${digits}", expected octal`)
  return Number.parseInt(digits, 8)
}

function base256(field: Buffer): number {
  const bits = field.length * 8 - 1
  let value = BigInt(`0x${field.toString('hex')}`) & ((1n << BigInt(bits)) - 1n)
  if ((field[0] ?? 0) & 0x40) value -= 1n << BigInt(bits)
  if (value > BigInt(Number.MAX_SAFE_INTEGER) || value < BigInt(Number.MIN_SAFE_INTEGER)) {
    throw new SlipwayError('invalid', `The archive has the number ${value}, which is out of range`)
  }
  return Number(value)
}

/** Very old writers summed signed bytes. */
function hasRightChecksum(block: Buffer): boolean {
  let unsigned = 8 * 0x20
  let signed = unsigned
  for (let index = 0; index < block.length; index++) {
    if (index >= 148 && index < 156) continue
    const byte = block[index] ?? 0
    unsigned += byte
    signed += byte > 127 ? byte - 256 : byte
  }
  const stated = Number.parseInt(text(block, 148, 8).trim(), 8)
  return stated === unsigned || stated === signed
}
