import { SlipwayError } from '#domain/errors'

/**
 * A path, byte for byte. A string holds one byte per character (latin1), which is what
 * `readdir(…, { encoding: 'latin1' })` returns; `bytePath` turns an ordinary JavaScript string into one.
 */
export type BytePath = string | Uint8Array

/** Mount flags of mount(2), https://man7.org/linux/man-pages/man2/mount.2.html */
export const MS = {
  RDONLY: 1,
  NOSUID: 2,
  NODEV: 4,
  NOEXEC: 8,
  REMOUNT: 32,
  BIND: 4096,
  REC: 16_384,
  PRIVATE: 1 << 18,
  SLAVE: 1 << 19,
} as const

/** File types in `mode`, as in inode(7). */
export const S_IF = { SOCK: 0o140000, BLK: 0o060000, CHR: 0o020000, FIFO: 0o010000 } as const

export interface OverlayMount {
  target: BytePath
  /** Top-most first; at most 500. Two or more where there is no upper directory. */
  lowerDirs: readonly BytePath[]
  /** Null mounts read-only. The work directory is empty and on the same file system. */
  upper: { upperDir: BytePath; workDir: BytePath } | null
  /** Such as `index=off` or `volatile`. */
  options: readonly string[]
}

/**
 * The system calls that Node does not have. All are synchronous, take well under a millisecond through `node:ffi` and
 * throw `SysError`. None follows a symbolic link in the last part of a path.
 */
export interface Sys {
  /** How the calls are made: in this process, or by spawned tools of util-linux and coreutils. */
  readonly via: 'ffi' | 'tools'
  mount(source: BytePath, target: BytePath, mount: { type: string | null; flags: number; data?: string }): void
  mountOverlay(overlay: OverlayMount): void
  /** `detach` unmounts lazily what is still in use. */
  unmount(target: BytePath, options: { detach: boolean }): void
  /** Null where the file has no such attribute, or its file system has none at all. */
  lgetxattr(path: BytePath, name: string): Buffer | null
  /** Names with their prefix, such as `security.capability`. */
  llistxattr(path: BytePath): string[]
  lsetxattr(path: BytePath, name: string, value: Uint8Array): void
  /** `mode` is a file type of `S_IF` with permissions, which the umask does not change; `dev` is as `Stats.rdev`. */
  mknod(path: BytePath, mode: number, dev: number): void
  mkfifo(path: BytePath, mode: number): void
  /** Nanoseconds since 1970, negative ones too. */
  lutimes(path: BytePath, times: { atimeNs: bigint; mtimeNs: bigint }): void
  /** Takes an exclusive (or shared) flock(2) on an open file; false where another one holds it. Closing releases it. */
  tryLock(fd: number, mode: 'exclusive' | 'shared'): boolean
}

/** A failed system call: `code` is such as `ENOENT`, or `UNKNOWN` where a tool's message was not understood. */
export class SysError extends SlipwayError {
  readonly code: string

  constructor(call: string, subject: string, code: string, detail = '') {
    super('internal', `${call} ${subject} failed: ${code}${detail ? ` (${detail})` : ''}`)
    this.code = code
  }
}

/** The bytes of an ordinary path, in the form `Sys` takes. */
export function bytePath(path: string): Buffer {
  return Buffer.from(path, 'utf8')
}
