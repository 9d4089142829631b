import { createHash } from 'node:crypto'
import { posix } from 'node:path'
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { extract, type Header } from 'tar-stream'

/** A file of an image, with everything that Dockerfile builders have to agree on. Times are not among it. */
export interface ListedEntry {
  type: 'file' | 'dir' | 'symlink' | 'fifo' | 'chr' | 'blk'
  /** Four octal digits. */
  mode: string
  uid: number
  gid: number
  size?: number
  sha256?: string
  /** A small file's content, to be read in differences. */
  text?: string
  target?: string
  xattrs?: Readonly<Record<string, string>>
  /** The group of hard links it is in, by the first of their paths. */
  hardLink?: string
}

export type Listing = ReadonlyMap<string, ListedEntry>

const MAX_TEXT_BYTES = 4096
const WHITEOUT = '.wh.'
const OPAQUE = '.wh..wh..opq'
const XATTR = 'SCHILY.xattr.'
const TYPES: Partial<Record<string, ListedEntry['type']>> = {
  file: 'file',
  directory: 'dir',
  symlink: 'symlink',
  fifo: 'fifo',
  'character-device': 'chr',
  'block-device': 'blk',
}

/** The file system that layers make, bottom first, compressed or not. */
export async function listLayers(layers: readonly Readable[]): Promise<Listing> {
  const files = new Map<string, ListedEntry>()
  const links = new Map<string, string>()
  for (const layer of layers) await applyLayer(inflate(await buffer(layer)), files, links)
  const groups = Map.groupBy(links.keys(), (path) => links.get(path))
  for (const group of groups.values()) {
    const members = group.filter((path) => files.has(path)).toSorted()
    for (const path of members) {
      const entry = files.get(path)
      if (entry && members[0] && members.length > 1) files.set(path, { ...entry, hardLink: members[0] })
    }
  }
  return new Map([...files].toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

/** What an image's listing has that its base has not, and what is gone. */
export function differences(base: Listing, image: Listing) {
  const changed = [...image].filter(([path, entry]) => JSON.stringify(base.get(path)) !== JSON.stringify(entry))
  return { rootfs: Object.fromEntries(changed), removed: [...base.keys()].filter((path) => !image.has(path)) }
}

function inflate(blob: Buffer): Buffer {
  if (blob.readUInt16BE(0) === 0x1f8b) return gunzipSync(blob)
  return blob.readUInt32LE(0) === 0xfd2fb528 ? zstdDecompressSync(blob) : blob
}

async function applyLayer(tar: Buffer, files: Map<string, ListedEntry>, links: Map<string, string>): Promise<void> {
  const archive = extract()
  const fed = pipeline([tar], archive)
  for await (const member of archive) {
    const { header } = member
    const path = posix.resolve('/', header.name)
    const name = posix.basename(path)
    const content = await buffer(member)
    if (name === OPAQUE) removeBelow(files, posix.dirname(path))
    else if (name.startsWith(WHITEOUT)) removeAll(files, posix.join(posix.dirname(path), name.slice(WHITEOUT.length)))
    else put({ path, header, content }, files, links)
  }
  await fed
}

function put(
  { path, header, content }: { path: string; header: Header; content: Buffer },
  files: Map<string, ListedEntry>,
  links: Map<string, string>,
): void {
  if (header.type !== 'directory') removeAll(files, path)
  links.delete(path)
  if (header.type !== 'link') return void files.set(path, describe(header, content))
  const to = posix.resolve('/', header.linkname ?? '')
  const first = links.get(to) ?? to
  links.set(first, first).set(path, first)
  const linked = files.get(to)
  if (!linked) throw new Error(`${path} is a hard link to ${to}, which no layer has`)
  files.set(path, linked)
}

function describe(header: Header, content: Buffer): ListedEntry {
  const type = TYPES[header.type ?? 'file']
  if (!type) throw new Error(`A layer has ${header.name} of type ${header.type}`)
  const xattrs = Object.entries(header.pax ?? {}).flatMap(([name, value]) =>
    name.startsWith(XATTR) ? [[name.slice(XATTR.length), value]] : [],
  )
  return {
    type,
    mode: ((header.mode ?? 0) & 0o7777).toString(8).padStart(4, '0'),
    uid: header.uid ?? 0,
    gid: header.gid ?? 0,
    ...(type === 'file' ? describeContent(content) : {}),
    ...(type === 'symlink' ? { target: header.linkname ?? '' } : {}),
    ...(xattrs.length > 0 ? { xattrs: Object.fromEntries(xattrs) } : {}),
  }
}

function describeContent(content: Buffer): Pick<ListedEntry, 'size' | 'sha256' | 'text'> {
  const sha256 = createHash('sha256').update(content).digest('hex')
  const isText = content.length <= MAX_TEXT_BYTES && content.equals(Buffer.from(content.toString()))
  return { size: content.length, sha256, ...(isText ? { text: content.toString() } : {}) }
}

function removeAll(files: Map<string, ListedEntry>, path: string): void {
  files.delete(path)
  removeBelow(files, path)
}

function removeBelow(files: Map<string, ListedEntry>, path: string): void {
  const prefix = path === '/' ? '/' : `${path}/`
  for (const below of files.keys()) if (below.startsWith(prefix)) files.delete(below)
}
