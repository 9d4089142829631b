import type * as NodeFfi from 'node:ffi'
import { chmodSync, closeSync } from 'node:fs'
import { getSystemErrorName } from 'node:util'
import type { BytePath, OverlayMount, Sys } from './sys-calls.ts'
import { S_IF, SysError } from './sys-calls.ts'
import { openToolSys } from './sys-tools.ts'

const MNT_DETACH = 2
const UMOUNT_NOFOLLOW = 8
const AT_FDCWD = -100
const AT_SYMLINK_NOFOLLOW = 0x100
const FSOPEN_CLOEXEC = 1
const FSMOUNT_CLOEXEC = 1
const MOVE_MOUNT_F_EMPTY_PATH = 4
const FSCONFIG = { SET_FLAG: 0, SET_STRING: 1, CMD_CREATE: 6 } as const
const MOUNT_ATTR_RDONLY = 1
const LOCK = { shared: 1, exclusive: 2 } as const
const LOCK_NB = 4
/** The kernel's limit of an attribute's value and of a list of names, limits.h. */
const XATTR_SIZE_MAX = 65_536

const SIGNATURES = {
  __errno_location: { arguments: [], return: 'pointer' },
  mount: { arguments: ['pointer', 'pointer', 'pointer', 'u64', 'pointer'], return: 'i32' },
  umount2: { arguments: ['pointer', 'i32'], return: 'i32' },
  lgetxattr: { arguments: ['pointer', 'pointer', 'pointer', 'u64'], return: 'i64' },
  llistxattr: { arguments: ['pointer', 'pointer', 'u64'], return: 'i64' },
  lsetxattr: { arguments: ['pointer', 'pointer', 'pointer', 'u64', 'i32'], return: 'i32' },
  mknod: { arguments: ['pointer', 'u32', 'u64'], return: 'i32' },
  utimensat: { arguments: ['i32', 'pointer', 'pointer', 'i32'], return: 'i32' },
  flock: { arguments: ['i32', 'i32'], return: 'i32' },
} as const

/** In glibc since 2.36; an older one mounts by mount(2). */
const NEW_MOUNT_API = {
  fsopen: { arguments: ['pointer', 'u32'], return: 'i32' },
  fsconfig: { arguments: ['i32', 'u32', 'pointer', 'pointer', 'i32'], return: 'i32' },
  fsmount: { arguments: ['i32', 'u32', 'u32'], return: 'i32' },
  move_mount: { arguments: ['i32', 'pointer', 'i32', 'pointer', 'u32'], return: 'i32' },
} as const

type Ffi = typeof NodeFfi
type Functions = ReturnType<typeof load>

/** Null where this Node has no usable `node:ffi`. */
export function openFfiSys(): Sys | null {
  const ffi = importFfi()
  if (!ffi) return null
  try {
    return makeSys(ffi)
  } catch {
    // The interface is experimental: whatever it refuses, the tools can do.
    return null
  }
}

/** Node warns once that the module is experimental; we know, and `openToolSys` is the answer to it. */
function importFfi(): Ffi | null {
  const emitWarning = process.emitWarning.bind(process)
  try {
    process.emitWarning = () => {}
    return process.getBuiltinModule('node:ffi') ?? null
  } catch {
    return null
  } finally {
    process.emitWarning = emitWarning
  }
}

function load(ffi: Ffi) {
  const { functions } = ffi.dlopen(null, SIGNATURES)
  // One errno per thread; it is read before anything else can run in this one.
  const errnoAt = functions.__errno_location()
  return { ...functions, errno: () => ffi.getInt32(errnoAt, 0) }
}

function loadNewMountApi(ffi: Ffi) {
  try {
    return ffi.dlopen(null, NEW_MOUNT_API).functions
  } catch {
    return null
  }
}

function cString(value: BytePath): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'latin1') : value
  return Buffer.concat([bytes, Buffer.of(0)])
}

const shown = (path: BytePath) => Buffer.from(cString(path).subarray(0, -1)).toString()

function makeSys(ffi: Ffi): Sys {
  const c = load(ffi)
  const newApi = loadNewMountApi(ffi)
  const check = (result: number | bigint, call: string, subject: BytePath) => {
    if (result < 0) throw new SysError(call, shown(subject), errnoName(c.errno()))
  }
  const mknod = (path: BytePath, mode: number, dev: number) => {
    check(c.mknod(cString(path), mode, BigInt(dev)), 'mknod', path)
    chmodSync(typeof path === 'string' ? Buffer.from(path, 'latin1') : Buffer.from(path), mode & 0o7777)
  }
  return {
    via: 'ffi',
    mount(source, target, { type, flags, data }) {
      const kind = type === null ? null : cString(type)
      const options = data === undefined ? null : cString(data)
      check(c.mount(cString(source), cString(target), kind, BigInt(flags), options), 'mount', target)
    },
    mountOverlay(overlay) {
      if (newApi && mountByNewApi(newApi, overlay)) return
      // Before Linux 6.8 overlayfs takes its layers only as one string; the tool knows how to keep that short.
      openToolSys().mountOverlay(overlay)
    },
    unmount(target, { detach }) {
      check(c.umount2(cString(target), UMOUNT_NOFOLLOW | (detach ? MNT_DETACH : 0)), 'umount', target)
    },
    ...xattrCalls(c, check),
    mknod,
    mkfifo: (path, mode) => mknod(path, S_IF.FIFO | (mode & 0o7777), 0),
    lutimes(path, { atimeNs, mtimeNs }) {
      const times = BigInt64Array.of(...timespec(atimeNs), ...timespec(mtimeNs))
      check(c.utimensat(AT_FDCWD, cString(path), times, AT_SYMLINK_NOFOLLOW), 'utimensat', path)
    },
    tryLock(fd, mode) {
      if (c.flock(fd, LOCK[mode] | LOCK_NB) === 0) return true
      const code = errnoName(c.errno())
      if (code === 'EAGAIN') return false
      throw new SysError('flock', `file ${fd}`, code)
    },
  }
}

function xattrCalls(c: Functions, check: (result: bigint | number, call: string, subject: BytePath) => void) {
  const value = Buffer.alloc(XATTR_SIZE_MAX)
  return {
    lgetxattr(path: BytePath, name: string): Buffer | null {
      const size = Number(c.lgetxattr(cString(path), cString(name), value, BigInt(value.length)))
      if (size < 0 && ['ENODATA', 'EOPNOTSUPP', 'ENOTSUP'].includes(errnoName(c.errno()))) return null
      check(size, 'lgetxattr', path)
      return Buffer.from(value.subarray(0, size))
    },
    llistxattr(path: BytePath): string[] {
      const size = Number(c.llistxattr(cString(path), value, BigInt(value.length)))
      if (size < 0 && ['EOPNOTSUPP', 'ENOTSUP'].includes(errnoName(c.errno()))) return []
      check(size, 'llistxattr', path)
      return size === 0
        ? []
        : value
            .subarray(0, size - 1)
            .toString('latin1')
            .split('\0')
    },
    lsetxattr(path: BytePath, name: string, data: Uint8Array): void {
      // A pointer of an empty view may be null, which the kernel takes for a bad address only if the size is not 0.
      const bytes = data.length === 0 ? null : Buffer.from(data)
      check(c.lsetxattr(cString(path), cString(name), bytes, BigInt(data.length), 0), 'lsetxattr', path)
    },
  }
}

/** fsopen(2) and `lowerdir+`, which has no limit of length. False where the kernel does not know it. */
function mountByNewApi(api: NonNullable<ReturnType<typeof loadNewMountApi>>, overlay: OverlayMount): boolean {
  const fs = api.fsopen(cString('overlay'), FSOPEN_CLOEXEC)
  if (fs < 0) return false
  let mounted = -1
  try {
    const set = (key: string, value: BytePath) =>
      api.fsconfig(fs, FSCONFIG.SET_STRING, cString(key), cString(value), 0) === 0
    const flag = (key: string) => api.fsconfig(fs, FSCONFIG.SET_FLAG, cString(key), null, 0) === 0
    const { upper } = overlay
    const configured =
      set('source', 'overlay') &&
      overlay.options.every((option) => {
        const [key = '', value] = option.split('=')
        return value === undefined ? flag(key) : set(key, value)
      }) &&
      overlay.lowerDirs.every((dir) => set('lowerdir+', dir)) &&
      (upper === null || (set('upperdir', upper.upperDir) && set('workdir', upper.workDir))) &&
      api.fsconfig(fs, FSCONFIG.CMD_CREATE, null, null, 0) === 0
    if (!configured) return false
    mounted = api.fsmount(fs, FSMOUNT_CLOEXEC, upper ? 0 : MOUNT_ATTR_RDONLY)
    if (mounted < 0) return false
    return api.move_mount(mounted, cString(''), AT_FDCWD, cString(overlay.target), MOVE_MOUNT_F_EMPTY_PATH) === 0
  } finally {
    if (mounted >= 0) closeSync(mounted)
    closeSync(fs)
  }
}

function timespec(ns: bigint): [bigint, bigint] {
  const rest = ((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n
  return [(ns - rest) / 1_000_000_000n, rest]
}

function errnoName(errno: number): string {
  return getSystemErrorName(-errno)
}
