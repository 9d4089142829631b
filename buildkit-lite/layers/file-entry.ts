import { lstatSync, readlinkSync, type Stats } from 'node:fs'
import { SlipwayError } from '#domain/errors'
import type { Sys } from '#host/sys'
import type { TarEntry, TarKind } from './tar-entry.ts'

/** A member to write, with the file its content is read from. */
export interface TarSource extends TarEntry {
  /** Null where there is no content. Latin1-exact, as all paths in this room are. */
  contentPath: string | null
}

const CAPABILITY = 'security.capability'
const NO_XATTRS: ReadonlyMap<string, Buffer> = new Map()

/** The bytes of a latin1-exact path, for Node's own calls. */
export function bytes(path: string): Buffer {
  return Buffer.from(path, 'latin1')
}

export function lstat(path: string): Stats {
  return lstatSync(bytes(path))
}

/** Null where nothing has the name, or a part of the path is no directory. */
export function lstatOrNull(path: string): Stats | null {
  try {
    return lstatSync(bytes(path), { throwIfNoEntry: false }) ?? null
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOTDIR') return null
    throw error
  }
}

export function readLink(path: string): string {
  return readlinkSync(bytes(path), 'latin1')
}

/** Null is a socket, which no archive can hold. */
export function kindOfFile(stats: Stats): TarKind | null {
  if (stats.isFile()) return 'file'
  if (stats.isDirectory()) return 'directory'
  if (stats.isSymbolicLink()) return 'symlink'
  if (stats.isFIFO()) return 'fifo'
  if (stats.isCharacterDevice()) return 'character-device'
  return stats.isBlockDevice() ? 'block-device' : null
}

/** Times in archives are whole seconds, so that a layer does not depend on who unpacked its parent. */
export function wholeSeconds(stats: Stats): number {
  return Math.floor(stats.mtimeMs / 1000)
}

/** Of extended attributes, layers carry the capabilities of files only, as Docker's and containerd's do. */
export function readCapability(sys: Sys, path: string): Buffer | null {
  return sys.lgetxattr(path, CAPABILITY)
}

/** The archive member for a file on disk, without its content. */
export function fileEntry(
  sys: Sys,
  file: { diskPath: string; path: string; stats: Stats; kind: TarKind; latestS: number },
): TarSource {
  const { stats, kind } = file
  const isDevice = kind === 'character-device' || kind === 'block-device'
  const capability = kind === 'file' ? readCapability(sys, file.diskPath) : null
  const hasContent = kind === 'file' && stats.size > 0
  return {
    path: file.path,
    kind,
    mode: stats.mode & 0o7777,
    uid: stats.uid,
    gid: stats.gid,
    sizeBytes: hasContent ? stats.size : 0,
    mtimeS: Math.min(wholeSeconds(stats), file.latestS),
    linkTarget: kind === 'symlink' ? readLink(file.diskPath) : '',
    deviceMajor: isDevice ? deviceMajor(stats.rdev) : 0,
    deviceMinor: isDevice ? deviceMinor(stats.rdev) : 0,
    xattrs: capability === null ? NO_XATTRS : new Map([[CAPABILITY, capability]]),
    contentPath: hasContent ? file.diskPath : null,
  }
}

/** A device number as glibc's makedev packs it: 12 bits of major number between 8 low and 12 high ones of minor. */
function deviceMajor(rdev: number): number {
  return Math.floor(rdev / 0x100) & 0xfff
}

function deviceMinor(rdev: number): number {
  return (rdev & 0xff) + (Math.floor(rdev / 0x100000) & 0xfff) * 0x100
}

/** The inverse of the two above. */
export function deviceNumber(major: number, minor: number): number {
  if (major > 0xfff || minor > 0xfffff) {
    throw new SlipwayError('invalid', `There is no device ${major}:${minor}, expected at most 4095:1048575`)
  }
  return (minor & 0xff) + major * 0x100 + Math.floor(minor / 0x100) * 0x100000
}

/** Remembers which inode was written under which path, so that its further names become hard links. */
export class InodePaths {
  #paths = new Map<string, string>()

  /** The path an inode was first written under; remembers `path` where there was none. */
  firstPath(diskPath: string, path: string): string | null {
    // Inode numbers of some file systems do not fit into a JavaScript number.
    const { dev, ino } = lstatSync(bytes(diskPath), { bigint: true })
    const key = `${dev}:${ino}`
    const first = this.#paths.get(key)
    if (first === undefined) this.#paths.set(key, path)
    return first ?? null
  }
}
