import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  futimesSync,
  openSync,
  readSync,
  type Stats,
  writeSync,
} from 'node:fs'
import type { Attributes } from './copy-task.ts'

/** Files from here on are copied without holding up the process. */
export const LARGE_BYTES = 256 * 1024

const CREATE = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | constants.O_NOFOLLOW

/** Whether `copySmallFile` does it; it cannot set times before 1970. */
export function isSmallFile(source: Stats): boolean {
  return source.isFile() && source.size < LARGE_BYTES && source.mtimeMs >= 0
}

/**
 * Copies an open file to a new name, attributes and all, through descriptors: each further walk to the name costs as
 * much as the copy. `makeRoom` is called where something has the name.
 */
export function copySmallFile(
  from: number,
  target: Buffer,
  { owner, mode, modifiedAtMs }: Attributes,
  makeRoom: () => void,
): void {
  const fd = createFile(target, makeRoom)
  try {
    copyBytes(from, fd)
    // Owner first: changing it clears the set-id bits of the mode.
    fchownSync(fd, owner.uid, owner.gid)
    if (mode !== null) fchmodSync(fd, mode)
    if (modifiedAtMs !== undefined) futimesSync(fd, modifiedAtMs / 1000, modifiedAtMs / 1000)
  } finally {
    closeSync(fd)
  }
}

function createFile(target: Buffer, makeRoom: () => void): number {
  try {
    return openSync(target, CREATE, 0o600)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  makeRoom()
  return openSync(target, CREATE, 0o600)
}

/** To its end, however long it is by now. */
function copyBytes(from: number, to: number): void {
  const buffer = Buffer.allocUnsafe(Math.min(LARGE_BYTES, fstatSync(from).size + 1))
  for (let count = readSync(from, buffer); count > 0; count = readSync(from, buffer))
    for (let at = 0; at < count; ) at += writeSync(to, buffer, at, count - at)
}
