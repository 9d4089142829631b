import { createHash } from 'node:crypto'
import { lstatSync, mkdirSync, mkdtempDisposableSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Layer } from '#domain/digest'
import { run } from '#host/exec'
import { bytePath, openSys } from '#host/sys'
import { createRandom, RandomChanges } from '#test/random-tree'
import { applyLayer } from '../../buildkit-lite/layers/apply-layer.ts'
import { createLayer } from '../../buildkit-lite/layers/create-layer.ts'
import { openBlobStore } from '../../buildkit-lite/layers/open-blob-store.ts'

const signal = new AbortController().signal
const sys = openSys()
const LAYERS = 3
const CHANGES = 50

/** `random` sequences of changes on overlays: the layers made of them give the same tree however they are unpacked. */
test.for(Array.from({ length: 3 }, (_, index) => ({ seed: 1000 + index })))(
  'layers of random changes give the same tree, unpacked by us and by GNU tar: seed $seed',
  { timeout: 60_000 },
  async ({ seed }) => {
    using dir = mkdtempDisposableSync(join(tmpdir(), 'slip-properties-'))
    const at = (...parts: string[]) => {
      const path = join(dir.path, ...parts)
      mkdirSync(path, { recursive: true })
      return path
    }
    const blobs = await openBlobStore(at('blobs'))
    const random = createRandom(seed)
    const plain = at('plain')
    let written: string[] = []
    let applied: string[] = []
    for (let number = 0; number < LAYERS; number++) {
      const upperDir = at(`upper-${number}`)
      const lowerDirs = written
      mounted(
        at(`root-${number}`),
        { upperDir, workDir: at(`work-${number}`), lowerDirs: [...lowerDirs, at('empty')] },
        (root) => new RandomChanges(root, sys, random).run(CHANGES),
      )
      const options = { compression: (['gzip', 'zstd', 'none'] as const)[number % 3] ?? 'gzip' }
      const layer = await createLayer({ upperDir, lowerDirs }, options, blobs, signal)
      const again = await createLayer({ upperDir, lowerDirs }, options, blobs, signal)
      expect(again.descriptor).toEqual(layer.descriptor)

      const appliedDir = at(`applied-${number}`)
      const { digest } = layer.descriptor
      await applyLayer(await blobs.read(digest, signal), layer, { upperDir: appliedDir, lowerDirs: applied }, signal)
      await unpackWithTar(layer, { path: await blobs.pathOf(digest), root: plain })

      written = [upperDir, ...written]
      applied = [appliedDir, ...applied]
      const made = listMerged(at('view'), [...written, at('empty'), at('empty-2')])
      const unpacked = listMerged(at('view'), [...applied, at('empty'), at('empty-2')])
      expect(unpacked.map(withoutTimeOfDirectory)).toEqual(made.map(withoutTimeOfDirectory))
      expect(listTree(plain)).toEqual(unpacked)
    }
  },
)

/** The rules of the image format in the plainest way: delete what whiteouts name, then let tar lay its files over. */
async function unpackWithTar(layer: Layer, { path, root }: { path: string; root: string }): Promise<void> {
  const how = layer.descriptor.mediaType.endsWith('+gzip')
    ? '--gzip'
    : layer.descriptor.mediaType.endsWith('+zstd')
      ? '--zstd'
      : '--no-auto-compress'
  const { stdout } = await run('tar', [how, '--list', '--quoting-style=escape', '--file', path])
  const members = stdout.toString('latin1').split('\n').filter(Boolean).map(unescaped)
  for (const member of members) {
    const name = member.slice(member.lastIndexOf('/', member.length - 2) + 1)
    if (name.startsWith('.wh.')) remove(root, member.slice(0, -name.length) + name.slice('.wh.'.length))
    else {
      const stats = lstatSync(inside(root, member.replace(/\/$/, '')), { throwIfNoEntry: false })
      // Tar keeps a directory where a file shall be, and follows a link where a directory shall be.
      if (stats && stats.isDirectory() !== member.endsWith('/')) remove(root, member.replace(/\/$/, ''))
    }
  }
  const kept = [
    '--same-owner',
    '--numeric-owner',
    '--same-permissions',
    '--xattrs',
    '--xattrs-include=security.capability',
  ]
  await run('tar', [
    how,
    '--extract',
    ...kept,
    '--exclude=.wh.*',
    '--delay-directory-restore',
    '--file',
    path,
    '--directory',
    root,
  ])
}

/** GNU tar writes what is not printable as `\\n`, `\\ ` or `\\303`. */
function unescaped(name: string): string {
  const plain: Record<string, string> = { n: '\n', t: '\t', '\\': '\\', ' ': ' ' }
  return name.replace(/\\(\d{3}|.)/g, (_, code: string) => plain[code] ?? String.fromCharCode(Number.parseInt(code, 8)))
}

function inside(root: string, path: string): Buffer {
  return Buffer.from(`${root}/${path}`, 'latin1')
}

function remove(root: string, path: string): void {
  rmSync(inside(root, path), { recursive: true, force: true })
}

function mounted(
  target: string,
  { upperDir, workDir, lowerDirs }: { upperDir: string; workDir: string; lowerDirs: readonly string[] },
  use: (root: string) => void,
): void {
  const upper = { upperDir: bytePath(upperDir), workDir: bytePath(workDir) }
  const options = ['index=off', 'metacopy=off', 'redirect_dir=off']
  sys.mountOverlay({ target: bytePath(target), lowerDirs: lowerDirs.map(bytePath), upper, options })
  try {
    use(target)
  } finally {
    sys.unmount(bytePath(target), { detach: false })
  }
}

function listMerged(target: string, lowerDirs: readonly string[]): FileLine[] {
  sys.mountOverlay({ target: bytePath(target), lowerDirs: lowerDirs.map(bytePath), upper: null, options: [] })
  try {
    return listTree(target)
  } finally {
    sys.unmount(bytePath(target), { detach: false })
  }
}

/** A directory that only its time tells apart is no change, as other builders have it. */
function withoutTimeOfDirectory(line: FileLine): FileLine {
  return line.kind === 'directory' ? { ...line, mtimeS: 0n } : line
}

/** All that an image can say of a file. */
interface FileLine {
  path: string
  kind: 'directory' | 'other'
  mtimeS: bigint
  attributes: string
  /** The first name of the same file. */
  sameAs: string
}

function listTree(root: string): FileLine[] {
  const lines: FileLine[] = []
  const names = new Map<bigint, string>()
  const visit = (directory: Buffer, path: string): void => {
    for (const name of readdirSync(directory, { encoding: 'latin1' }).sort()) {
      const file = Buffer.concat([directory, Buffer.from(`/${name}`, 'latin1')])
      const stats = lstatSync(file, { bigint: true })
      const full = `${path}${name}`
      const first = stats.isDirectory() ? full : (names.get(stats.ino) ?? full)
      names.set(stats.ino, first)
      const capability = stats.isFile() ? sys.lgetxattr(file, 'security.capability')?.toString('hex') : null
      const content = stats.isFile() ? createHash('sha256').update(readFileSync(file)).digest('hex').slice(0, 12) : ''
      const link = stats.isSymbolicLink() ? readlinkSync(file, 'latin1') : ''
      const mtimeS =
        stats.mtimeNs >= 0n ? stats.mtimeNs / 1_000_000_000n : (stats.mtimeNs - 999_999_999n) / 1_000_000_000n
      const owner = `${stats.uid}:${stats.gid}`
      lines.push({
        path: full,
        kind: stats.isDirectory() ? 'directory' : 'other',
        mtimeS,
        attributes: [stats.mode.toString(8), owner, stats.rdev, content, link, capability ?? ''].join(' '),
        sameAs: first,
      })
      if (stats.isDirectory()) visit(file, `${full}/`)
    }
  }
  visit(Buffer.from(root), '')
  return lines
}
