import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  copyFileSync,
  fchmodSync,
  fchownSync,
  futimesSync,
  lchownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  openSync,
  symlinkSync,
  writeSync,
} from 'node:fs'
import { SlipwayError } from '#domain/errors'
import { S_IF, type Sys } from '#host/sys'
import { bytes, deviceNumber, lstatOrNull, wholeSeconds } from './file-entry.ts'
import type { TarVisitor } from './read-tar.ts'
import { OPAQUE_WHITEOUT, type TarEntry, WHITEOUT_PREFIX } from './tar-entry.ts'
import { UpperPaths, type UpperPlace } from './upper-paths.ts'

export interface ExtractOptions {
  /** An overlay's upper directory, empty at first. Latin1-exact, as the others. */
  upperDir: string
  lowerDirs: readonly string[]
  maxEntries: number
}

const CREATE = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | constants.O_NOFOLLOW
/** Linux's (uid_t)-1 means "no change". */
const MAX_ID = 0xffff_fffe

/**
 * Unpacks a layer into an overlay's upper directory. The archive is not trusted: every path is taken as if the tree
 * were the root. Device nodes are made, as Docker does; a snapshot directory should not be reachable by others.
 */
export class TarExtractor implements TarVisitor, Disposable {
  readonly #sys: Sys
  readonly #options: ExtractOptions
  readonly #paths: UpperPaths
  /** Set at the end, because files that are made in a directory change its time. */
  readonly #directoryTimes = new Map<string, number>()
  #entries = 0
  #file: { fd: number; diskPath: string; entry: TarEntry } | null = null

  constructor(sys: Sys, options: ExtractOptions) {
    this.#sys = sys
    this.#options = options
    this.#paths = new UpperPaths(sys, options, (diskPath, mtimeS) => this.#directoryTimes.set(diskPath, mtimeS))
  }

  entry(entry: TarEntry): void {
    if (++this.#entries > this.#options.maxEntries) {
      throw new SlipwayError('too-large', `The archive has more than ${this.#options.maxEntries} members`)
    }
    if (entry.uid > MAX_ID || entry.gid > MAX_ID) {
      throw new SlipwayError('invalid', `${entry.path} belongs to ${entry.uid}:${entry.gid}, expected 32-bit ids`)
    }
    const parts = partsOf(entry.path)
    const name = parts.pop()
    if (name === undefined) this.#root(entry)
    else if (name.startsWith(WHITEOUT_PREFIX)) this.#whiteout(this.#paths.directory(parts), name)
    else this.#create(this.#paths.directory(parts), name, entry)
  }

  content(piece: Buffer): void {
    if (!this.#file) return
    for (let at = 0; at < piece.length; ) at += writeSync(this.#file.fd, piece, at)
  }

  entryEnd(): void {
    if (!this.#file) return
    const { fd, diskPath, entry } = this.#file
    // chown clears setuid and capabilities, writing changes the time: hence this order.
    fchownSync(fd, entry.uid, entry.gid)
    fchmodSync(fd, entry.mode)
    this.#setXattrs(diskPath, entry)
    if (entry.mtimeS < 0) this.#setTime(diskPath, entry.mtimeS)
    else futimesSync(fd, entry.mtimeS, entry.mtimeS)
    this[Symbol.dispose]()
  }

  /** To be called when the archive is complete. */
  finish(): void {
    for (const [diskPath, mtimeS] of this.#directoryTimes) {
      if (lstatOrNull(diskPath)?.isDirectory()) this.#setTime(diskPath, mtimeS)
    }
  }

  [Symbol.dispose](): void {
    if (this.#file) closeSync(this.#file.fd)
    this.#file = null
  }

  #root(entry: TarEntry): void {
    if (entry.kind !== 'directory') throw new SlipwayError('invalid', 'The archive has a root that is no directory')
    this.#describeDirectory(this.#options.upperDir, entry)
  }

  #whiteout(parent: UpperPlace, name: string): void {
    if (name === OPAQUE_WHITEOUT) {
      this.#paths.makeOpaque(parent.diskPath)
      return
    }
    const hidden = name.slice(WHITEOUT_PREFIX.length)
    // Names like .wh..wh.plnk are notes of aufs to itself.
    if (hidden.startsWith(WHITEOUT_PREFIX)) return
    if (hidden === '' || hidden === '.' || hidden === '..') {
      throw new SlipwayError('invalid', `The archive has the whiteout ${name}, expected one of a name`)
    }
    this.#paths.whiteOut(parent, hidden)
  }

  #create(parent: UpperPlace, name: string, entry: TarEntry): void {
    const diskPath = `${parent.diskPath}/${name}`
    const linked = entry.kind === 'hardlink' ? this.#linkTarget(entry) : ''
    if (linked === diskPath) return
    if (entry.kind === 'file') {
      this.#file = { fd: this.#createFile(diskPath), diskPath, entry }
      return
    }
    const isMerge = entry.kind === 'directory' && lstatOrNull(diskPath)?.isDirectory()
    const replaces = !isMerge && this.#paths.remove(diskPath)
    switch (entry.kind) {
      case 'directory':
        if (!isMerge) mkdirSync(bytes(diskPath), 0o700)
        if (replaces) this.#paths.makeOpaque(diskPath)
        this.#describeDirectory(diskPath, entry)
        return
      case 'hardlink':
        linkSync(bytes(linked), bytes(diskPath))
        return
      case 'symlink':
        symlinkSync(bytes(entry.linkTarget), bytes(diskPath))
        lchownSync(bytes(diskPath), entry.uid, entry.gid)
        this.#setTime(diskPath, entry.mtimeS)
        return
      case 'fifo':
      case 'character-device':
      case 'block-device':
        this.#createNode(diskPath, entry)
        return
      default:
        entry.kind satisfies never
    }
  }

  /** Looking first whether the name is free would cost as much again. */
  #createFile(diskPath: string): number {
    try {
      return openSync(bytes(diskPath), CREATE, 0o600)
    } catch (error) {
      if (!(error instanceof Error) || !('code' in error) || error.code !== 'EEXIST') throw error
    }
    this.#paths.remove(diskPath)
    return openSync(bytes(diskPath), CREATE, 0o600)
  }

  #createNode(diskPath: string, entry: TarEntry): void {
    const device = entry.kind === 'fifo' ? 0 : deviceNumber(entry.deviceMajor, entry.deviceMinor)
    if (entry.kind === 'character-device' && device === 0) {
      throw new SlipwayError('invalid', `${entry.path} is the device 0:0, which overlayfs would take for a whiteout`)
    }
    if (entry.kind === 'fifo') this.#sys.mkfifo(diskPath, 0o600)
    else this.#sys.mknod(diskPath, (entry.kind === 'block-device' ? S_IF.BLK : S_IF.CHR) | 0o600, device)
    lchownSync(bytes(diskPath), entry.uid, entry.gid)
    chmodSync(bytes(diskPath), entry.mode)
    this.#setTime(diskPath, entry.mtimeS)
  }

  /** An existing file of the upper directory; one that exists only below is copied up first. */
  #linkTarget(entry: TarEntry): string {
    const parts = partsOf(entry.linkTarget)
    const name = parts.pop()
    const parent = this.#paths.directory(parts)
    const diskPath = `${parent.diskPath}/${name ?? ''}`
    const own = name === undefined ? null : lstatOrNull(diskPath)
    if (own && !own.isDirectory() && !(own.isCharacterDevice() && own.rdev === 0)) return diskPath
    const lower = name === undefined || own ? null : parent.lower.find(name)
    if (!lower?.stats.isFile()) {
      throw new SlipwayError('invalid', `${entry.path} is a hard link to ${entry.linkTarget}, which is not there`)
    }
    copyFileSync(bytes(lower.diskPath), bytes(diskPath), constants.COPYFILE_EXCL)
    chownSync(bytes(diskPath), lower.stats.uid, lower.stats.gid)
    chmodSync(bytes(diskPath), lower.stats.mode & 0o7777)
    const capability = this.#sys.lgetxattr(lower.diskPath, CAPABILITY)
    if (capability) this.#sys.lsetxattr(diskPath, CAPABILITY, capability)
    this.#setTime(diskPath, wholeSeconds(lower.stats))
    return diskPath
  }

  #describeDirectory(diskPath: string, entry: TarEntry): void {
    chownSync(bytes(diskPath), entry.uid, entry.gid)
    chmodSync(bytes(diskPath), entry.mode)
    this.#setXattrs(diskPath, entry)
    this.#directoryTimes.set(diskPath, entry.mtimeS)
  }

  /** Attributes of other kinds would steer overlayfs or the host's security modules. */
  #setXattrs(diskPath: string, entry: TarEntry): void {
    for (const [name, value] of entry.xattrs) {
      if (name === CAPABILITY || name.startsWith('user.')) this.#sys.lsetxattr(diskPath, name, value)
    }
  }

  /** Node's own calls turn times before 1970 into the present. */
  #setTime(diskPath: string, mtimeS: number): void {
    if (mtimeS >= 0) {
      lutimesSync(bytes(diskPath), mtimeS, mtimeS)
      return
    }
    const ns = BigInt(mtimeS) * 1_000_000_000n
    this.#sys.lutimes(diskPath, { atimeNs: ns, mtimeNs: ns })
  }
}

const CAPABILITY = 'security.capability'

/** The path as if the tree were the root: `/a/../../b` is `b`. */
function partsOf(path: string): string[] {
  const parts: string[] = []
  for (const part of path.split('/')) {
    if (part === '..') parts.pop()
    else if (part !== '' && part !== '.') parts.push(part)
  }
  if (parts.some((part) => part.includes('\0'))) throw new SlipwayError('invalid', 'The archive has a path with a NUL')
  return parts
}
