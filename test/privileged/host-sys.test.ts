import { spawnSync } from 'node:child_process'
import {
  closeSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { bytePath, MS, S_IF, type Sys, SysError } from '#host/sys'
import { openFfiSys } from '../../core/host/sys-ffi.ts'
import { openToolSys } from '../../core/host/sys-tools.ts'

const implementations: readonly (readonly [string, () => Sys | null])[] = [
  ['ffi', openFfiSys],
  ['tools', openToolSys],
]

describe.for(implementations)('system calls by %s', ([name, open]) => {
  let root = ''
  let sys: Sys

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'slip-sys-'))
    const opened = open()
    if (!opened) throw new Error(`${name} does not work with this Node`)
    sys = opened
  })
  afterEach(() => rmSync(root, { recursive: true, force: true }))

  test('says how it works', () => expect(sys.via).toBe(name))

  test('reads and writes attributes byte for byte', () => {
    const file = join(root, 'file')
    writeFileSync(file, '')
    expect(sys.lgetxattr(file, 'user.none')).toBeNull()
    const value = Buffer.from([0, 1, 255, 10, 0])
    sys.lsetxattr(file, 'user.bytes', value)
    sys.lsetxattr(file, 'user.empty', Buffer.alloc(0))
    expect(sys.lgetxattr(file, 'user.bytes')).toEqual(value)
    expect(sys.lgetxattr(file, 'user.empty')).toEqual(Buffer.alloc(0))
    expect(sys.llistxattr(file).sort()).toEqual(['user.bytes', 'user.empty'])
  })

  test('takes names that are not UTF-8', () => {
    const path = Buffer.concat([bytePath(root), Buffer.from('/\xff\xe9', 'latin1')])
    sys.mkfifo(path, 0o640)
    expect(readdirSync(root, { encoding: 'latin1' })).toEqual(['\xff\xe9'])
    sys.lsetxattr(path.toString('latin1'), 'trusted.x', Buffer.from('1'))
    expect(sys.llistxattr(path)).toEqual(['trusted.x'])
  })

  test.for([
    ['whiteout', S_IF.CHR | 0o600, 0],
    ['device', S_IF.CHR | 0o666, 0x103],
    ['disk', S_IF.BLK | 0o660, (259 << 8) | 7],
    ['fifo', S_IF.FIFO | 0o777, 0],
  ] as const)('makes a %s with exactly its mode', ([name, mode, dev]) => {
    const path = join(root, name)
    sys.mknod(path, mode, dev)
    const made = lstatSync(path)
    expect([made.mode, made.rdev]).toEqual([mode, dev])
    expect(() => sys.mknod(path, mode, dev)).toThrow(expect.objectContaining({ code: 'EEXIST' }))
  })

  test.for([0n, 1n, 1_700_000_000_123_456_789n, -1_500_000_000n, 8_000_000_000_000_000_001n])(
    'sets times to %s ns',
    (ns) => {
      const file = join(root, 'file')
      writeFileSync(file, '')
      sys.lutimes(file, { atimeNs: 5n, mtimeNs: ns })
      expect(lstatSync(file, { bigint: true }).mtimeNs).toBe(ns)
      expect(lstatSync(file, { bigint: true }).atimeNs).toBe(5n)
    },
  )

  test('mounts, remounts and unmounts', () => {
    sys.mount('tmpfs', root, { type: 'tmpfs', flags: MS.NOSUID | MS.NODEV, data: 'size=1m,mode=700' })
    writeFileSync(join(root, 'kept'), '')
    sys.mount(root, root, { type: null, flags: MS.BIND })
    sys.mount('none', root, { type: null, flags: MS.BIND | MS.REMOUNT | MS.RDONLY })
    expect(() => writeFileSync(join(root, 'refused'), '')).toThrow('EROFS')
    sys.unmount(root, { detach: false })
    sys.unmount(root, { detach: false })
    expect(readdirSync(root)).toEqual([])
    expect(() => sys.unmount(root, { detach: false })).toThrow(expect.objectContaining({ code: 'EINVAL' }))
  })

  test('says that a mount is busy, and detaches it', () => {
    sys.mount('tmpfs', root, { type: 'tmpfs', flags: 0 })
    const fd = openSync(join(root, 'open'), 'w')
    expect(() => sys.unmount(root, { detach: false })).toThrow(expect.objectContaining({ code: 'EBUSY' }))
    sys.unmount(root, { detach: true })
    closeSync(fd)
    expect(readdirSync(root)).toEqual([])
  })

  test('stacks 120 layers, and mounts read-only without an upper directory', () => {
    const lowerDirs = Array.from({ length: 120 }, (_, index) => join(root, 'layers', `layer-${index}`))
    for (const [index, dir] of lowerDirs.entries()) {
      mkdirSync(dir, { recursive: true })
      writeFileSync(join(dir, `only-${index}`), `${index}`)
      writeFileSync(join(dir, 'every'), `${index}`)
    }
    const [upperDir, workDir, target] = ['upper', 'work', 'root'].map((name) => join(root, name)) as [
      string,
      string,
      string,
    ]
    for (const dir of [upperDir, workDir, target]) mkdirSync(dir)
    sys.mountOverlay({ target, lowerDirs, upper: { upperDir, workDir }, options: ['index=off', 'volatile'] })
    expect(readdirSync(target)).toHaveLength(121)
    expect(readFileSync(join(target, 'every'), 'utf8')).toBe('0')
    rmSync(join(target, 'only-119'))
    sys.unmount(target, { detach: false })
    expect(readdirSync(upperDir)).toEqual(['only-119'])
    sys.mountOverlay({ target, lowerDirs, upper: null, options: ['index=off'] })
    expect(() => writeFileSync(join(target, 'refused'), '')).toThrow('EROFS')
    sys.unmount(target, { detach: false })
  })

  test('locks a file against every other opening of it', () => {
    const path = join(root, 'lock')
    const [first, second] = [openSync(path, 'w'), openSync(path, 'w')]
    expect(sys.tryLock(first, 'exclusive')).toBe(true)
    expect(sys.tryLock(second, 'shared')).toBe(false)
    closeSync(first)
    expect(sys.tryLock(second, 'shared')).toBe(true)
    closeSync(second)
  })

  test('says what failed, on what, and why', () => {
    const missing = join(root, 'missing')
    expect(() => sys.lgetxattr(missing, 'user.x')).toThrow(SysError)
    expect(() => sys.llistxattr(missing)).toThrow(expect.objectContaining({ code: 'ENOENT' }))
    expect(() => sys.mount('none', missing, { type: 'tmpfs', flags: 0 })).toThrow(/mount .*missing failed: ENOENT/)
  })
})

test('loading the system calls prints no warning', () => {
  const script = "import('#host/sys').then((sys) => console.log(sys.openSys().via))"
  const done = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' })
  expect([done.stdout, done.stderr]).toEqual(['ffi\n', ''])
})
