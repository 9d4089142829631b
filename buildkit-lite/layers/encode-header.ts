import { isUtf8 } from 'node:buffer'
import { BLOCK_BYTES, paddingOf, type TarEntry, TYPE_FLAGS, XATTR_RECORD } from './tar-entry.ts'

const MAX_NAME_BYTES = 100
const MAX_PREFIX_BYTES = 155
/** What seven and eleven octal digits hold. */
const MAX_ID = 0o7777777
const MAX_NUMBER = 0o77777777777

/**
 * The header blocks of an entry: one ustar block, after an extended PAX header where ustar cannot say it all. Equal
 * entries give equal bytes.
 */
export function encodeHeader(entry: TarEntry): Buffer {
  const path = entry.kind === 'directory' ? `${entry.path}/` : entry.path
  const split = splitPath(path)
  const records = paxRecords(entry, path, split === null)
  const block = ustarBlock(entry, split ?? { name: path.slice(0, MAX_NAME_BYTES), prefix: '' })
  return records === '' ? block : Buffer.concat([paxHeader(records, entry.path), block])
}

/** The two empty blocks that end an archive. */
export const ARCHIVE_END = Buffer.alloc(2 * BLOCK_BYTES)

/** A path in ustar's two fields; null where it does not fit or is not plain ASCII. */
function splitPath(path: string): { name: string; prefix: string } | null {
  if (!isAscii(path)) return null
  if (path.length <= MAX_NAME_BYTES) return { name: path, prefix: '' }
  const slash = path.lastIndexOf('/', MAX_PREFIX_BYTES)
  const name = path.slice(slash + 1)
  return slash <= 0 || name === '' || name.length > MAX_NAME_BYTES ? null : { name, prefix: path.slice(0, slash) }
}

function paxRecords(entry: TarEntry, path: string, needsPath: boolean): string {
  const needsLink = entry.linkTarget.length > MAX_NAME_BYTES || !isAscii(entry.linkTarget)
  const names = `${needsPath ? path : ''}${needsLink ? entry.linkTarget : ''}`
  const records: [string, string][] = []
  if (!isUtf8(Buffer.from(names, 'latin1'))) records.push(['hdrcharset', 'BINARY'])
  if (needsPath) records.push(['path', path])
  if (needsLink) records.push(['linkpath', entry.linkTarget])
  if (entry.sizeBytes > MAX_NUMBER) records.push(['size', String(entry.sizeBytes)])
  if (entry.uid > MAX_ID) records.push(['uid', String(entry.uid)])
  if (entry.gid > MAX_ID) records.push(['gid', String(entry.gid)])
  if (entry.mtimeS < 0 || entry.mtimeS > MAX_NUMBER) records.push(['mtime', String(entry.mtimeS)])
  const xattrs = [...entry.xattrs].toSorted(([a], [b]) => (a < b ? -1 : 1))
  for (const [name, value] of xattrs) records.push([`${XATTR_RECORD}${name}`, value.toString('latin1')])
  return records.map(([name, value]) => paxRecord(name, value)).join('')
}

/** `LENGTH NAME=VALUE\n`, where the length counts itself. */
function paxRecord(name: string, value: string): string {
  const body = ` ${name}=${value}\n`
  let length = body.length + 1
  while (String(length).length + body.length !== length) length = String(length).length + body.length
  return `${length}${body}`
}

function paxHeader(records: string, path: string): Buffer {
  const content = Buffer.from(records, 'latin1')
  const name = `PaxHeaders.0/${path
    .slice(path.lastIndexOf('/') + 1)
    .replace(/[^\x20-\x7e]/g, '_')
    .slice(0, 80)}`
  const block = Buffer.alloc(BLOCK_BYTES)
  writeFields(block, { name, prefix: '', mode: 0o644, uid: 0, gid: 0, size: content.length, mtime: 0, flag: 'x' })
  return Buffer.concat([finish(block), content, Buffer.alloc(paddingOf(content.length))])
}

function ustarBlock(entry: TarEntry, { name, prefix }: { name: string; prefix: string }): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES)
  writeFields(block, {
    name,
    prefix,
    mode: entry.mode,
    uid: entry.uid > MAX_ID ? 0 : entry.uid,
    gid: entry.gid > MAX_ID ? 0 : entry.gid,
    size: entry.sizeBytes > MAX_NUMBER ? 0 : entry.sizeBytes,
    mtime: entry.mtimeS < 0 || entry.mtimeS > MAX_NUMBER ? 0 : entry.mtimeS,
    flag: TYPE_FLAGS[entry.kind],
  })
  block.write(entry.linkTarget.slice(0, MAX_NAME_BYTES), 157, 'latin1')
  if (entry.kind === 'character-device' || entry.kind === 'block-device') {
    writeOctal(block, entry.deviceMajor, 329, 8)
    writeOctal(block, entry.deviceMinor, 337, 8)
  }
  return finish(block)
}

interface Fields {
  name: string
  prefix: string
  mode: number
  uid: number
  gid: number
  size: number
  mtime: number
  flag: string
}

function writeFields(block: Buffer, fields: Fields): void {
  block.write(fields.name, 0, 'latin1')
  writeOctal(block, fields.mode, 100, 8)
  writeOctal(block, fields.uid, 108, 8)
  writeOctal(block, fields.gid, 116, 8)
  writeOctal(block, fields.size, 124, 12)
  writeOctal(block, fields.mtime, 136, 12)
  block.write(fields.flag, 156, 'latin1')
  block.write('ustar\u000000', 257, 'latin1')
  block.write(fields.prefix, 345, 'latin1')
}

/** Octal digits with leading zeros and a NUL at the end, `width` bytes in all. */
function writeOctal(block: Buffer, value: number, offset: number, width: number): void {
  block.write(value.toString(8).padStart(width - 1, '0'), offset, 'latin1')
}

/** Fills in the checksum: the sum of all bytes, its own field counted as spaces. */
function finish(block: Buffer): Buffer {
  block.fill(0x20, 148, 156)
  let sum = 0
  for (const byte of block) sum += byte
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return block
}

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 0x7f) return false
  return true
}
