import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { applyLayer } from '../../buildkit-lite/layers/apply-layer.ts'
import type { BlobStore } from '../../buildkit-lite/layers/blob-store.ts'
import { LAYER_MEDIA_TYPES } from '../../buildkit-lite/layers/compression.ts'
import { createLayer, createLayerFromTree } from '../../buildkit-lite/layers/create-layer.ts'
import { ARCHIVE_END, encodeHeader } from '../../buildkit-lite/layers/encode-header.ts'
import { openBlobStore } from '../../buildkit-lite/layers/open-blob-store.ts'
import { paddingOf, type TarEntry } from '../../buildkit-lite/layers/tar-entry.ts'
import { digestOf } from '../../buildkit-lite/registry/fetch-manifest.ts'
import { bytePath, openSys } from '../../core/host/sys.ts'

const signal = new AbortController().signal
const sys = openSys()
let dir: string
let blobs: BlobStore

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'slip-layers-'))
  blobs = await openBlobStore(join(dir, 'blobs'))
})

afterEach(() => rmSync(dir, { recursive: true, force: true }))

const at = (...parts: string[]) => join(dir, ...parts)

function makeDirs(...names: string[]): void {
  for (const name of names) mkdirSync(at(name), { recursive: true })
}

/** Runs `change` on a real overlay mount of the lower directories and leaves the upper one in `upper`. */
function onOverlay(lowerDirs: string[], change: (root: string) => void): string {
  const upper = `upper${readdirSync(dir).length}`
  makeDirs(upper, `${upper}-work`, `${upper}-root`)
  const root = at(`${upper}-root`)
  const upperWork = { upperDir: bytePath(at(upper)), workDir: bytePath(at(`${upper}-work`)) }
  sys.mountOverlay({
    target: bytePath(root),
    lowerDirs: lowerDirs.map((lower) => bytePath(at(lower))),
    upper: upperWork,
    options: ['index=off', 'metacopy=off', 'redirect_dir=off'],
  })
  try {
    change(root)
  } finally {
    sys.unmount(bytePath(root), { detach: false })
  }
  return upper
}

/** What the merged tree looks like: one line a file. */
function listMerged(...dirs: string[]): string[] {
  makeDirs('merged', 'merged-empty', 'merged-empty2')
  const lowerDirs = [
    ...dirs.map((one) => bytePath(at(one))),
    bytePath(at('merged-empty')),
    bytePath(at('merged-empty2')),
  ]
  sys.mountOverlay({ target: bytePath(at('merged')), lowerDirs, upper: null, options: [] })
  try {
    return listTree(at('merged'))
  } finally {
    sys.unmount(bytePath(at('merged')), { detach: false })
  }
}

function listTree(root: string): string[] {
  const lines: string[] = []
  const inodes = new Map<number, string>()
  const visit = (directory: Buffer, path: string) => {
    for (const name of readdirSync(directory, { encoding: 'latin1' }).sort()) {
      const file = Buffer.concat([directory, Buffer.from(`/${name}`, 'latin1')])
      const stats = lstatSync(file)
      const full = `${path}${name}`
      const what = stats.isFile()
        ? `file ${digestOf(readFileSync(file)).slice(7, 15)}`
        : stats.isSymbolicLink()
          ? `link ${readlinkSync(file, 'latin1')}`
          : stats.isDirectory()
            ? 'dir'
            : `node ${stats.rdev}`
      const first = stats.nlink > 1 && !stats.isDirectory() ? inodes.get(stats.ino) : undefined
      if (!first) inodes.set(stats.ino, full)
      const capability = stats.isFile() ? sys.lgetxattr(file, 'security.capability') : null
      const mtime = stats.isDirectory() ? '' : ` @${Math.floor(stats.mtimeMs / 1000)}`
      lines.push(
        `${full} ${(stats.mode & 0o177777).toString(8)} ${stats.uid}:${stats.gid}${mtime} ${what}${first ? ` = ${first}` : ''}${capability ? ` cap ${capability.toString('hex')}` : ''}`,
      )
      if (stats.isDirectory()) visit(file, `${full}/`)
    }
  }
  visit(Buffer.from(root), '')
  return lines
}

async function layerNames(upper: string, ...lowerDirs: string[]): Promise<string[]> {
  const layer = await createLayer(
    { upperDir: at(upper), lowerDirs: lowerDirs.map((lower) => at(lower)) },
    { compression: 'none' },
    blobs,
    signal,
  )
  const path = await blobs.pathOf(layer.descriptor.digest)
  return execFileSync('tar', ['-tf', path], { encoding: 'utf8' }).split('\n').filter(Boolean)
}

function makeTrapTree(root: string): void {
  mkdirSync(join(root, 'dir/sub'), { recursive: true })
  writeFileSync(join(root, 'dir/setuid'), 'x')
  chownSync(join(root, 'dir/setuid'), 33, 44)
  chmodSync(join(root, 'dir/setuid'), 0o4755)
  writeFileSync(join(root, 'dir/capable'), 'ping')
  // cap_net_raw=ep as version 2 of the format: what `setcap` writes.
  const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex')
  sys.lsetxattr(bytePath(join(root, 'dir/capable')), 'security.capability', capability)
  writeFileSync(join(root, 'dir/first'), 'linked')
  linkSync(join(root, 'dir/first'), join(root, 'dir/second'))
  linkSync(join(root, 'dir/first'), join(root, 'third'))
  symlinkSync('/etc/../dir/first', join(root, 'absolute'))
  symlinkSync('l'.repeat(200), join(root, 'long-link'))
  sys.mkfifo(bytePath(join(root, 'fifo')), 0o640)
  writeFileSync(join(root, 'n'.repeat(120)), 'long name')
  mkdirSync(join(root, 'p'.repeat(90), 'q'.repeat(200)), { recursive: true })
  writeFileSync(join(root, 'p'.repeat(90), 'q'.repeat(200), 'r'.repeat(100)), 'long path')
  writeFileSync(join(root, 'grüße'), 'utf-8')
  writeFileSync(Buffer.from(`${root}/bad\xff\xfename`, 'latin1'), 'not utf-8')
  writeFileSync(join(root, 'old'), 'before 1970')
  sys.lutimes(bytePath(join(root, 'old')), { atimeNs: 0n, mtimeNs: -5_000_000_000n })
  writeFileSync(join(root, 'big-owner'), '')
  chownSync(join(root, 'big-owner'), 3_000_000, 3_000_001)
  writeFileSync(join(root, 'unreadable'), 'secret')
  chmodSync(join(root, 'unreadable'), 0)
  mkdirSync(join(root, 'sticky'))
  chmodSync(join(root, 'sticky'), 0o1777)
  writeFileSync(join(root, 'noise'), randomBytes(1_500_000))
}

describe('a tree full of traps', () => {
  test.for(['gzip', 'zstd', 'none'] as const)('survives the way through a %s layer', async (compression) => {
    makeDirs('tree', 'out')
    makeTrapTree(at('tree'))
    utimesSync(at('tree/dir'), 1000, 1000)
    const layer = await createLayerFromTree(at('tree'), { compression }, blobs, signal)
    const again = await createLayerFromTree(at('tree'), { compression }, blobs, signal)
    expect(again).toEqual(layer)
    const blob = await blobs.read(layer.descriptor.digest, signal)
    await applyLayer(blob, layer, { upperDir: at('out'), lowerDirs: [] }, signal)
    expect(listTree(at('out'))).toEqual(listTree(at('tree')))
    expect(lstatSync(at('out/dir')).mtimeMs).toBe(1_000_000)
  })

  test('is read by GNU tar as it is', async () => {
    makeDirs('tree', 'out')
    makeTrapTree(at('tree'))
    const layer = await createLayerFromTree(at('tree'), { compression: 'gzip' }, blobs, signal)
    const path = await blobs.pathOf(layer.descriptor.digest)
    execFileSync('tar', ['-xzpf', path, '--xattrs', '--xattrs-include=*', '-C', at('out')])
    expect(listTree(at('out'))).toEqual(listTree(at('tree')))
  })

  test('leaves out sockets and names that would delete others', async () => {
    makeDirs('tree')
    writeFileSync(at('tree/.wh.passwd'), '')
    const { createServer } = await import('node:net')
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(at('tree/socket'), resolve))
    const layer = await createLayerFromTree(at('tree'), { compression: 'none' }, blobs, signal)
    server.close()
    expect(layer.uncompressedBytes).toBe(1024)
    expect(layer.warnings).toEqual([expect.stringContaining('.wh.passwd')])
  })
})

describe('the difference of two layers', () => {
  beforeEach(() => {
    makeDirs('lower/dir/sub', 'lower/gone')
    writeFileSync(at('lower/dir/a'), 'a')
    writeFileSync(at('lower/dir/b'), 'b')
    writeFileSync(at('lower/dir/sub/c'), 'c')
    writeFileSync(at('lower/gone/d'), 'd')
    writeFileSync(at('lower/file'), 'file')
    linkSync(at('lower/file'), at('lower/file2'))
    symlinkSync('dir', at('lower/link'))
  })

  test.for<[string, (root: string) => void, string[]]>([
    ['nothing', () => {}, []],
    ['chmod to the same mode', (root) => chmodSync(`${root}/dir/a`, 0o644), []],
    [
      'a directory made and removed',
      (root) => (mkdirSync(`${root}/dir/x`), rmSync(`${root}/dir/x`, { recursive: true })),
      [],
    ],
    ['touch', (root) => utimesSync(`${root}/dir/a`, 5, 5), ['dir/', 'dir/a']],
    ['a new file', (root) => writeFileSync(`${root}/dir/sub/new`, ''), ['dir/', 'dir/sub/', 'dir/sub/new']],
    ['a removed file', (root) => rmSync(`${root}/dir/a`), ['dir/', 'dir/.wh.a']],
    ['a removed directory', (root) => rmSync(`${root}/gone`, { recursive: true }), ['.wh.gone']],
    ['a new file removed again', (root) => (writeFileSync(`${root}/x`, ''), rmSync(`${root}/x`)), []],
    [
      'several removed files, which are one inode on disk',
      (root) => ['a', 'b'].forEach((name) => rmSync(`${root}/dir/${name}`)),
      ['dir/', 'dir/.wh.a', 'dir/.wh.b'],
    ],
    [
      'a directory removed and made again',
      (root) => (
        rmSync(`${root}/dir`, { recursive: true }), mkdirSync(`${root}/dir`), writeFileSync(`${root}/dir/b`, 'new')
      ),
      ['dir/.wh.a', 'dir/', 'dir/b', 'dir/.wh.sub'],
    ],
    [
      'a directory made again with its subdirectory',
      (root) => (rmSync(`${root}/dir`, { recursive: true }), mkdirSync(`${root}/dir/sub`, { recursive: true })),
      ['dir/.wh.a', 'dir/.wh.b', 'dir/', 'dir/sub/', 'dir/sub/.wh.c'],
    ],
    [
      'a directory instead of a file',
      (root) => (rmSync(`${root}/file`), mkdirSync(`${root}/file`), writeFileSync(`${root}/file/in`, '')),
      ['file/', 'file/in'],
    ],
    [
      'a file instead of a directory',
      (root) => (rmSync(`${root}/dir`, { recursive: true }), writeFileSync(`${root}/dir`, '')),
      ['dir'],
    ],
    ['one of two hard links changed', (root) => writeFileSync(`${root}/file`, 'changed'), ['file']],
    ['a new hard link', (root) => linkSync(`${root}/file`, `${root}/file3`), ['file', 'file3']],
    ['a renamed file', (root) => renameSync(`${root}/file`, `${root}/named`), ['.wh.file', 'named']],
    ['chown of a directory', (root) => chownSync(`${root}/dir`, 1, 1), ['dir/']],
  ])('after %s has just that', async ([, change, expected]) => {
    const upper = onOverlay(['lower'], change)
    expect((await layerNames(upper, 'lower')).toSorted()).toEqual(expected.toSorted())
    const layer = await createLayer(
      { upperDir: at(upper), lowerDirs: [at('lower')] },
      { compression: 'gzip' },
      blobs,
      signal,
    )
    makeDirs('applied')
    const blob = await blobs.read(layer.descriptor.digest, signal)
    await applyLayer(blob, layer, { upperDir: at('applied'), lowerDirs: [at('lower')] }, signal)
    const unlinked = (line: string) => line.replace(/ = .*/, '')
    expect(listMerged('applied', 'lower').map(unlinked)).toEqual(listMerged(upper, 'lower').map(unlinked))
  })

  test('sees through whiteouts and opaque directories of lower layers', async () => {
    const second = onOverlay(['lower'], (root) => {
      rmSync(`${root}/dir`, { recursive: true })
      mkdirSync(`${root}/dir`)
      writeFileSync(`${root}/dir/z`, '')
      rmSync(`${root}/file`)
    })
    const third = onOverlay([second, 'lower'], (root) => {
      rmSync(`${root}/dir`, { recursive: true })
      mkdirSync(`${root}/dir`)
    })
    expect(await layerNames(third, second, 'lower')).toEqual(['dir/', 'dir/.wh.z'])
  })

  test('is the same whether the epoch cuts times or not, but for the times', async () => {
    const upper = onOverlay(['lower'], (root) => writeFileSync(`${root}/new`, ''))
    const options = { compression: 'none', sourceDateEpoch: 7 } as const
    const layer = await createLayer({ upperDir: at(upper), lowerDirs: [at('lower')] }, options, blobs, signal)
    const listed = execFileSync('tar', ['--utc', '-tvf', await blobs.pathOf(layer.descriptor.digest)], {
      encoding: 'utf8',
    })
    expect(listed).toContain('1970-01-01 00:00 new')
  })
})

const ENTRY: TarEntry = {
  path: 'x',
  kind: 'file',
  mode: 0o644,
  uid: 0,
  gid: 0,
  sizeBytes: 0,
  mtimeS: 0,
  linkTarget: '',
  deviceMajor: 0,
  deviceMinor: 0,
  xattrs: new Map(),
}

function tarOf(...members: (Partial<TarEntry> & { content?: string })[]): Buffer {
  const parts = members.map(({ content = '', ...member }) => {
    const sizeBytes = content.length
    return Buffer.concat([
      encodeHeader({ ...ENTRY, sizeBytes, ...member }),
      Buffer.from(content),
      Buffer.alloc(paddingOf(sizeBytes)),
    ])
  })
  return Buffer.concat([...parts, ARCHIVE_END])
}

async function applyTar(tar: Buffer, options: { lower?: string; limits?: object } = {}): Promise<void> {
  makeDirs('up')
  const blob = gzipSync(tar)
  const descriptor = { mediaType: LAYER_MEDIA_TYPES.gzip, digest: digestOf(blob), size: blob.length }
  const target = {
    upperDir: at('up'),
    lowerDirs: options.lower ? [at(options.lower)] : [],
    limits: options.limits ?? {},
  }
  await applyLayer(Readable.from([blob]), { descriptor, diffId: digestOf(tar) }, target, signal)
}

describe('a hostile archive', () => {
  test.for<[string, (Partial<TarEntry> & { content?: string })[], string]>([
    ['a path with ..', [{ path: '../../../escaped', content: 'x' }], 'escaped'],
    ['an absolute path', [{ path: '/escaped', content: 'x' }], 'escaped'],
    [
      'a symbolic link out',
      [
        { path: 'out', kind: 'symlink', linkTarget: '../../../../../..' },
        { path: 'out/escaped', content: 'x' },
      ],
      'escaped',
    ],
    [
      'an absolute symbolic link',
      [
        { path: 'out', kind: 'symlink', linkTarget: '/deep/er' },
        { path: 'out/escaped', content: 'x' },
      ],
      'deep/er/escaped',
    ],
    [
      'a chain of links',
      [
        { path: 'a', kind: 'symlink', linkTarget: 'b/..' },
        { path: 'b', kind: 'symlink', linkTarget: '../..' },
        { path: 'a/escaped', content: 'x' },
      ],
      'escaped',
    ],
    [
      'a whiteout over a link',
      [
        { path: 'out', kind: 'symlink', linkTarget: '/' },
        { path: 'out/.wh.escaped' },
        { path: 'escaped', content: 'x' },
      ],
      'escaped',
    ],
  ])('with %s stays beneath its root', async ([, members, expected]) => {
    await applyTar(tarOf(...members))
    expect(readFileSync(at('up', expected), 'utf8')).toBe('x')
    expect(existsSync(at('escaped'))).toBe(false)
    expect(existsSync('/escaped')).toBe(false)
  })

  test('with a link does not write through it', async () => {
    writeFileSync(at('victim'), 'safe')
    await applyTar(tarOf({ path: 'f', kind: 'symlink', linkTarget: at('victim') }, { path: 'f', content: 'evil' }))
    expect(readFileSync(at('victim'), 'utf8')).toBe('safe')
    expect(lstatSync(at('up/f')).isFile()).toBe(true)
  })

  test.for<[string, RegExp, Buffer, object]>([
    ['a hard link out', /hard link to/, tarOf({ path: 'h', kind: 'hardlink', linkTarget: '../../../etc/passwd' }), {}],
    [
      'a hard link through a symbolic one',
      /hard link to/,
      tarOf(
        { path: 's', kind: 'symlink', linkTarget: '/etc' },
        { path: 'h', kind: 'hardlink', linkTarget: 's/passwd' },
      ),
      {},
    ],
    ['the whiteout of ..', /expected one of a name/, tarOf({ path: 'dir/.wh...' }), {}],
    ['a forged whiteout device', /0:0/, tarOf({ path: 'dev', kind: 'character-device' }), {}],
    ['a file as a directory', /not a directory/, tarOf({ path: 'f' }, { path: 'f/in' }), {}],
    [
      'links in a circle',
      /more than 40 symbolic links/,
      tarOf({ path: 'l', kind: 'symlink', linkTarget: 'l' }, { path: 'l/x' }),
      {},
    ],
    ['too many members', /more than 2 members/, tarOf({ path: 'a' }, { path: 'b' }, { path: 'c' }), { maxEntries: 2 }],
    ['too many bytes', /more than 4096 bytes/, tarOf({ path: 'a', content: 'x'.repeat(5000) }), { maxBytes: 4096 }],
    ['a sudden end', /breaks off/, tarOf({ path: 'a', content: 'x'.repeat(2000) }).subarray(0, 1024), {}],
    ['no tar in it', /no tar header/, Buffer.alloc(2048, 'abc'), {}],
  ])('with %s is refused', async ([, message, tar, limits]) => {
    await expect(applyTar(tar, { limits })).rejects.toThrow(message)
  })

  test.for<[string, (layer: { digest: string; size: number; diffId: string }) => object, RegExp]>([
    ['digest', () => ({ digest: digestOf(Buffer.from('x')) }), /has .* bytes and digest/],
    ['size', ({ size }) => ({ size: size + 1 }), /expected \d+ bytes/],
    ['diffID', () => ({ diffId: digestOf(Buffer.from('x')) }), /has the diffID/],
  ])('with another %s than promised is refused', async ([, change, message]) => {
    makeDirs('up')
    const tar = tarOf({ path: 'a' })
    const blob = gzipSync(tar)
    const right = { digest: digestOf(blob), size: blob.length, diffId: digestOf(tar) }
    const { digest, size, diffId } = { ...right, ...change(right) }
    const layer = { descriptor: { mediaType: LAYER_MEDIA_TYPES.gzip, digest, size }, diffId }
    const applying = applyLayer(Readable.from([blob]), layer, { upperDir: at('up'), lowerDirs: [] }, signal)
    await expect(applying).rejects.toThrow(message)
  })
})

describe('a layer on top of others', () => {
  test('keeps the mode of directories it does not name, and follows links of lower layers', async () => {
    makeDirs('lower/usr/lib')
    chmodSync(at('lower/usr'), 0o700)
    chownSync(at('lower/usr'), 5, 6)
    symlinkSync('usr/lib', at('lower/lib'))
    await applyTar(tarOf({ path: 'lib/module', content: 'x' }), { lower: 'lower' })
    expect(listMerged('up', 'lower').filter((line) => !line.includes('module'))).toEqual(listTree(at('lower')))
    expect(existsSync(at('up/usr/lib/module'))).toBe(true)
  })

  test('hides what its opaque directories hid, and copies up what it links to', async () => {
    makeDirs('lower/dir')
    writeFileSync(at('lower/dir/old'), 'old')
    writeFileSync(at('lower/kept'), 'kept')
    const tar = tarOf(
      { path: 'dir', kind: 'directory', mode: 0o755 },
      { path: 'dir/new' },
      { path: 'dir/.wh..wh..opq' },
      { path: 'also', kind: 'hardlink', linkTarget: 'kept' },
    )
    await applyTar(tar, { lower: 'lower' })
    const names = listMerged('up', 'lower').map((line) => line.split(' ', 1)[0])
    expect(names).toEqual(['also', 'dir', 'dir/new', 'kept'])
    expect(readFileSync(at('up/also'), 'utf8')).toBe('kept')
  })

  test('that is aborted says why', async () => {
    makeDirs('up')
    const controller = new AbortController()
    const source = new Readable({ read() {} })
    const layer = {
      descriptor: { mediaType: LAYER_MEDIA_TYPES.gzip, digest: digestOf(Buffer.from('x')), size: 1e6 },
      diffId: digestOf(Buffer.from('y')),
    }
    const applying = applyLayer(source, layer, { upperDir: at('up'), lowerDirs: [] }, controller.signal)
    controller.abort(new Error('cancelled by a person'))
    await expect(applying).rejects.toThrow('cancelled by a person')
    expect(source.destroyed).toBe(true)
  })
})
