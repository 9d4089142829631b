import { closeSync, openSync, readSync, type Stats } from 'node:fs'
import type { Sys } from '#host/sys'
import { bytes, kindOfFile, readCapability, readLink, wholeSeconds } from './file-entry.ts'

export interface FileOnDisk {
  diskPath: string
  stats: Stats
}

/**
 * Whether a file of an upper directory is to an image the same as the lower one: type, mode, owner, and but for directories time, size and content too.
 * Such a file in an upper directory is no change: a `chmod` to the same mode copies a file up and alters nothing. One
 * with several names there is another matter: a copy has one, so that a name was added, and the layer has to say of what.
 */
export function isSameFile(sys: Sys, a: FileOnDisk, b: FileOnDisk): boolean {
  const kind = kindOfFile(a.stats)
  if (kind !== kindOfFile(b.stats) || a.stats.mode !== b.stats.mode) return false
  if (a.stats.uid !== b.stats.uid || a.stats.gid !== b.stats.gid) return false
  if (kind === 'directory') return true
  if (a.stats.nlink > 1) return false
  if (wholeSeconds(a.stats) !== wholeSeconds(b.stats)) return false
  if (kind === 'character-device' || kind === 'block-device') return a.stats.rdev === b.stats.rdev
  if (kind === 'symlink') return readLink(a.diskPath) === readLink(b.diskPath)
  if (kind !== 'file') return true
  return a.stats.size === b.stats.size && hasSameCapability(sys, a, b) && hasSameContent(a, b)
}

function hasSameCapability(sys: Sys, a: FileOnDisk, b: FileOnDisk): boolean {
  const [left, right] = [readCapability(sys, a.diskPath), readCapability(sys, b.diskPath)]
  return left === null || right === null ? left === right : left.equals(right)
}

const COMPARED_BYTES = 64 * 1024

function hasSameContent(a: FileOnDisk, b: FileOnDisk): boolean {
  if (a.stats.size === 0) return true
  const [left, right] = [Buffer.allocUnsafe(COMPARED_BYTES), Buffer.allocUnsafe(COMPARED_BYTES)]
  using leftFile = openFile(a.diskPath)
  using rightFile = openFile(b.diskPath)
  for (let at = 0; at < a.stats.size; ) {
    const count = readFully(leftFile.fd, left, at)
    if (count === 0 || count !== readFully(rightFile.fd, right, at)) return false
    if (!left.subarray(0, count).equals(right.subarray(0, count))) return false
    at += count
  }
  return true
}

function openFile(path: string): Disposable & { fd: number } {
  const fd = openSync(bytes(path), 'r')
  return { fd, [Symbol.dispose]: () => closeSync(fd) }
}

/** Fills the buffer as far as the file goes. */
function readFully(fd: number, buffer: Buffer, position: number): number {
  let filled = 0
  while (filled < buffer.length) {
    const count = readSync(fd, buffer, filled, buffer.length - filled, position + filled)
    if (count === 0) break
    filled += count
  }
  return filled
}
