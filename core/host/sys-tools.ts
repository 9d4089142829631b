import { spawnSync } from 'node:child_process'
import { dirname } from 'node:path'
import type { BytePath, OverlayMount, Sys } from './sys-calls.ts'
import { MS, S_IF, SysError } from './sys-calls.ts'

const LOCK_TOOL = 'flock'

/** What the tools print for the errors that callers tell apart, as glibc words them. */
const MESSAGES: readonly (readonly [text: string, code: string])[] = [
  ['no such file or directory', 'ENOENT'],
  ['does not exist', 'ENOENT'],
  ['no such attribute', 'ENODATA'],
  ['file exists', 'EEXIST'],
  ['operation not permitted', 'EPERM'],
  ['permission denied', 'EACCES'],
  ['target is busy', 'EBUSY'],
  ['resource busy', 'EBUSY'],
  ['not mounted', 'EINVAL'],
  ['wrong fs type', 'EINVAL'],
  ['invalid argument', 'EINVAL'],
  ['operation not supported', 'EOPNOTSUPP'],
  ['no space left', 'ENOSPC'],
]

/** Flags of mount(2) as mount(8) names them; bind and remount come from their own options. */
const FLAG_OPTIONS: readonly (readonly [flag: number, option: string])[] = [
  [MS.RDONLY, 'ro'],
  [MS.NOSUID, 'nosuid'],
  [MS.NODEV, 'nodev'],
  [MS.NOEXEC, 'noexec'],
  [MS.REMOUNT, 'remount'],
]

/** The calls made by mount, umount, mknod, touch, flock and, from the package `attr`, getfattr and setfattr. */
export function openToolSys(): Sys {
  return {
    via: 'tools',
    mount(source, target, { type, flags, data }) {
      const args = mountArguments(type, flags, data)
      runTool('mount', [...args, source, target])
    },
    mountOverlay,
    unmount(target, { detach }) {
      runTool('umount', ['--no-canonicalize', ...(detach ? ['--lazy'] : []), '--', target])
    },
    lgetxattr: readXattr,
    llistxattr: listXattrs,
    lsetxattr(path, name, value) {
      runTool('setfattr', ['-h', '-n', name, '-v', `0x${Buffer.from(value).toString('hex')}`, '--', path])
    },
    mknod(path, mode, dev) {
      const type = TYPES.get(mode & 0o170000)
      if (!type) throw new SysError('mknod', shown(path), 'EINVAL', `file type ${(mode & 0o170000).toString(8)}`)
      const numbers = type === 'p' ? [] : deviceNumbers(dev)
      runTool('mknod', ['-m', (mode & 0o7777).toString(8), '--', path, type, ...numbers])
    },
    mkfifo(path, mode) {
      runTool('mkfifo', ['-m', (mode & 0o7777).toString(8), '--', path])
    },
    lutimes(path, { atimeNs, mtimeNs }) {
      runTool('touch', ['-h', '-c', '-a', '-d', `@${seconds(atimeNs)}`, '--', path])
      runTool('touch', ['-h', '-c', '-m', '-d', `@${seconds(mtimeNs)}`, '--', path])
    },
    tryLock(fd, mode) {
      // The lock belongs to the open file, which the tool shares with us and which outlives the tool.
      const done = spawnSync(LOCK_TOOL, ['--nonblock', `--${mode}`, '3'], { stdio: ['ignore', 'ignore', 'pipe', fd] })
      if (done.status === 0) return true
      if (done.status === 1) return false
      throw new SysError('flock', `file ${fd}`, 'UNKNOWN', done.error?.message ?? done.stderr.toString().trim())
    },
  }
}

const TYPES = new Map<number, string>([
  [S_IF.CHR, 'c'],
  [S_IF.BLK, 'b'],
  [S_IF.FIFO, 'p'],
])

function mountArguments(type: string | null, flags: number, data: string | undefined): string[] {
  if (flags & MS.PRIVATE) return ['--make-private']
  if (flags & MS.SLAVE) return ['--make-slave']
  const bind = flags & MS.BIND && !(flags & MS.REMOUNT)
  const options = FLAG_OPTIONS.filter(([flag]) => flags & flag).map(([, option]) => option)
  if (flags & MS.BIND && flags & MS.REMOUNT) options.push('bind')
  if (data) options.push(data)
  return [
    '--no-canonicalize',
    ...(bind ? [flags & MS.REC ? '--rbind' : '--bind'] : []),
    ...(type ? ['-t', type] : []),
    ...(options.length > 0 ? ['-o', options.join(',')] : []),
  ]
}

/** mount(2) takes one page of options: layers are named relative to the directory that most of them share. */
function mountOverlay({ target, lowerDirs, upper, options }: OverlayMount): void {
  const lower = lowerDirs.map(bytes)
  for (const dir of lower)
    if (/[:,\\]/.test(dir)) throw new SysError('mount', dir, 'EINVAL', 'overlayfs takes no colon, comma or backslash')
  const cwd = commonParent(lower)
  const relative = lower.map((dir) => (dir.startsWith(`${cwd}/`) ? dir.slice(cwd.length + 1) : dir))
  const data = [
    ...options,
    `lowerdir=${relative.join(':')}`,
    ...(upper ? [`upperdir=${bytes(upper.upperDir)}`, `workdir=${bytes(upper.workDir)}`] : ['ro']),
  ].join(',')
  runTool('mount', ['--no-canonicalize', '-t', 'overlay', '-o', data, 'overlay', target], cwd)
}

function commonParent(dirs: readonly string[]): string {
  let parent = dirname(dirs[0] ?? '/')
  while (parent !== '/' && !dirs.every((dir) => dir.startsWith(`${parent}/`))) parent = dirname(parent)
  return parent
}

function readXattr(path: BytePath, name: string): Buffer | null {
  try {
    const text = runTool('getfattr', ['-h', '--absolute-names', '-e', 'hex', '-n', name, '--', path])
    const line = text.split('\n').find((line) => line.startsWith(name))
    return Buffer.from(line?.slice(name.length + 3) ?? '', 'hex')
  } catch (error) {
    if (error instanceof SysError && ['ENODATA', 'EOPNOTSUPP'].includes(error.code)) return null
    throw error
  }
}

function listXattrs(path: BytePath): string[] {
  try {
    const text = runTool('getfattr', ['-h', '--absolute-names', '-m', '-', '--', path])
    return text.split('\n').filter((line) => line !== '' && !line.startsWith('# '))
  } catch (error) {
    if (error instanceof SysError && error.code === 'EOPNOTSUPP') return []
    throw error
  }
}

/** Arguments go through xargs, because Node would encode them as UTF-8 and paths are bytes. */
function runTool(tool: string, args: readonly BytePath[], cwd?: string): string {
  const input = Buffer.from(args.map((argument) => `${bytes(argument)}\0`).join(''), 'latin1')
  const done = spawnSync('xargs', ['-0', '-x', '-s', '1000000', tool], {
    input,
    // libmount's newer way hands the kernel at most 256 bytes per option.
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C', LIBMOUNT_FORCE_MOUNT2: 'always' },
    ...(cwd === undefined ? {} : { cwd: Buffer.from(cwd, 'latin1').toString() }),
  })
  if (done.error) throw new SysError(tool, shown(args.at(-1) ?? ''), 'UNKNOWN', done.error.message)
  if (done.status === 0) return done.stdout.toString('latin1')
  const said = done.stderr.toString().trim()
  const code = MESSAGES.find(([text]) => said.toLowerCase().includes(text))?.[1] ?? 'UNKNOWN'
  throw new SysError(tool, shown(args.at(-1) ?? ''), code, said)
}

const bytes = (path: BytePath) => (typeof path === 'string' ? path : Buffer.from(path).toString('latin1'))
const shown = (path: BytePath) => Buffer.from(bytes(path), 'latin1').toString()

/** makedev(3) taken apart, as `stat` packs it on Linux. */
function deviceNumbers(dev: number): [major: string, minor: string] {
  const value = BigInt(dev)
  const major = ((value >> 8n) & 0xfffn) | ((value >> 32n) & 0xfffff000n)
  const minor = (value & 0xffn) | ((value >> 12n) & 0xffffff00n)
  return [major.toString(), minor.toString()]
}

/** `-1500000000` as `-1.500000000`. */
function seconds(ns: bigint): string {
  const size = ns < 0n ? -ns : ns
  return `${ns < 0n ? '-' : ''}${size / 1_000_000_000n}.${(size % 1_000_000_000n).toString().padStart(9, '0')}`
}
