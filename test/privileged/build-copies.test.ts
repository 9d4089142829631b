import { lstat, mkdir, mkdtempDisposable, readdir, readFile, readlink, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { run } from '#host/exec'
import { openSys } from '#host/sys'
import type { CopyOperation } from '../../buildkit-lite/plan/plan.ts'
import { parseModeChange } from '../../buildkit-lite/solver/chmod.ts'
import { copySources } from '../../buildkit-lite/solver/copy-sources.ts'
import { createPause } from '../../buildkit-lite/solver/copy-task.ts'
import { createExclusion } from '../../buildkit-lite/solver/exclusion.ts'
import { treeOnDisk } from '../../buildkit-lite/solver/file-tree.ts'
import { plainFiles } from '../../buildkit-lite/solver/source-files.ts'

const noRemotes = { open: async () => Promise.reject(new Error('nothing is elsewhere')) }
const never = new AbortController().signal

/** A tree in words: text is a file, `->` a link, null a directory. */
type Tree = Record<string, string | null>

async function write(root: string, tree: Tree): Promise<void> {
  for (const [name, content] of Object.entries(tree)) {
    const path = join(root, name)
    await mkdir(content === null ? path : dirname(path), { recursive: true })
    if (content?.startsWith('->')) await symlink(content.slice(2), path)
    else if (content !== null) await writeFile(path, content)
  }
}

async function read(root: string, prefix = ''): Promise<Tree> {
  const tree: Tree = {}
  for (const entry of await readdir(join(root, prefix), { withFileTypes: true })) {
    const name = prefix + entry.name
    if (entry.isSymbolicLink()) tree[name] = `->${await readlink(join(root, name))}`
    else if (entry.isDirectory()) Object.assign(tree, { [name]: null }, await read(root, `${name}/`))
    else tree[name] = await readFile(join(root, name), 'utf8')
  }
  return tree
}

interface CopyCase {
  from: Tree
  to?: Tree
  sources: string[]
  destination: string
  more?: Partial<CopyOperation>
}

async function copy(from: string, to: string, { sources, destination, more = {} }: Omit<CopyCase, 'from' | 'to'>) {
  const operation: CopyOperation = {
    kind: 'copy',
    input: null,
    from: { kind: 'context', name: null },
    sources: sources.map((path) => ({ kind: 'path', path })),
    destination,
    chown: null,
    chmod: null,
    link: false,
    parents: false,
    exclude: [],
    unpack: 'never',
    ...more,
  }
  const task = {
    sys: openSys(),
    root: to,
    tree: treeOnDisk(from),
    files: plainFiles(from),
    keepOwner: false,
    owner: null,
    mode: operation.chmod === null ? null : parseModeChange(operation.chmod),
    exclusion: createExclusion(operation.exclude),
    hardLinks: new Map<string, string>(),
    pause: createPause(never),
  }
  await copySources(task, operation, noRemotes, never)
}

async function openRoots(
  from: Tree,
  to: Tree = {},
): Promise<AsyncDisposable & { from: string; to: string; outside: string }> {
  const dir = await mkdtempDisposable(join(tmpdir(), 'slip-copy-'))
  const roots = { from: join(dir.path, 'from'), to: join(dir.path, 'to'), outside: dir.path }
  await mkdir(roots.from)
  await mkdir(roots.to)
  await write(roots.from, from)
  await write(roots.to, to)
  return { ...roots, [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose]() }
}

test.for<[string, CopyCase, Tree]>([
  ['a file under a new name', { from: { f: 'F' }, sources: ['f'], destination: '/a/b' }, { a: null, 'a/b': 'F' }],
  ['a file into a new directory', { from: { f: 'F' }, sources: ['f'], destination: '/a/' }, { a: null, 'a/f': 'F' }],
  [
    'a file into a directory',
    { from: { f: 'F' }, to: { a: null }, sources: ['f'], destination: '/a' },
    { a: null, 'a/f': 'F' },
  ],
  ['a directory’s content', { from: { 'd/x': 'X' }, sources: ['d'], destination: '/a' }, { a: null, 'a/x': 'X' }],
  [
    'several files onto one name: the last wins',
    { from: { f: 'F', g: 'G' }, sources: ['f', 'g'], destination: '/a' },
    { a: 'G' },
  ],
  ['what climbs out of the source', { from: { f: 'F' }, sources: ['../../f'], destination: '/a' }, { a: 'F' }],
  [
    'through a link in the destination',
    { from: { f: 'F' }, to: { t: null, l: '->/t' }, sources: ['f'], destination: '/l/g' },
    { t: null, l: '->/t', 't/g': 'F' },
  ],
  [
    'onto a link that leads nowhere yet',
    { from: { f: 'F' }, to: { l: '->../../../new' }, sources: ['f'], destination: '/l' },
    { l: '->../../../new', new: 'F' },
  ],
  [
    'over a link inside a directory',
    { from: { 'd/l': 'F' }, to: { 'd/l': '->/elsewhere' }, sources: ['d'], destination: '/d' },
    { d: null, 'd/l': 'F' },
  ],
  [
    'links as they are',
    { from: { 'd/l': '->/etc/shadow', 'd/gone': '->nowhere' }, sources: ['d'], destination: '/a' },
    { a: null, 'a/l': '->/etc/shadow', 'a/gone': '->nowhere' },
  ],
  [
    '--parents',
    { from: { 'a/b/c': 'C' }, sources: ['a/./b/c'], destination: '/o/', more: { parents: true } },
    { o: null, 'o/b': null, 'o/b/c': 'C' },
  ],
  [
    '--exclude',
    {
      from: { 'd/a.md': '1', 'd/s/b.md': '2', 'd/c': '3' },
      sources: ['d'],
      destination: '/a',
      more: { exclude: ['**/*.md'] },
    },
    { a: null, 'a/c': '3', 'a/s': null },
  ],
])('copies %s', async ([, { from, to, ...operation }, expected]) => {
  await using roots = await openRoots(from, to)
  await copy(roots.from, roots.to, operation)
  expect(await read(roots.to)).toEqual(expected)
})

test.for<[string, CopyCase, string]>([
  [
    'a directory onto a file',
    { from: { 'd/x': '1' }, to: { f: '' }, sources: ['d'], destination: '/f' },
    'cannot copy to non-directory: /f',
  ],
  [
    'a file beneath a file',
    { from: { f: '1' }, to: { o: '' }, sources: ['f'], destination: '/o/f' },
    'mkdir /o: not a directory',
  ],
  [
    'a file onto a nested directory',
    { from: { 'd/x': '1' }, to: { 'a/x': null }, sources: ['d'], destination: '/a' },
    'cannot replace to directory /a/x with file',
  ],
  [
    'a directory onto a nested link',
    { from: { 'd/x/y': '1' }, to: { a: null, 'a/x': '->/tmp' }, sources: ['d'], destination: '/a' },
    'cannot copy to non-directory: /a/x',
  ],
])('does not copy %s', async ([, { from, to, ...operation }, message]) => {
  await using roots = await openRoots(from, to)
  await expect(copy(roots.from, roots.to, operation)).rejects.toThrow(message)
})

test('an archive cannot leave its directory', async () => {
  await using roots = await openRoots({ 'in/f': 'F' }, { a: null, 'a/up': '->../..' })
  await run('tar', [
    '-C',
    join(roots.from, 'in'),
    '-cf',
    join(roots.from, 'a.tar'),
    '--transform',
    's,^f,../../up/f,',
    '-P',
    'f',
  ])
  await run('tar', [
    '-C',
    join(roots.from, 'in'),
    '-rf',
    join(roots.from, 'a.tar'),
    '--transform',
    's,^f,/abs/f,',
    '-P',
    'f',
  ])
  await copy(roots.from, roots.to, { sources: ['a.tar'], destination: '/a', more: { unpack: 'local' } })
  expect(await readdir(roots.outside)).toEqual(['from', 'to'])
  expect(await read(roots.to)).toMatchObject({ a: null, 'a/abs/f': 'F' })
})

test('names of one file, modes and times are kept', async () => {
  await using roots = await openRoots({ 'd/one': '1' })
  await run('ln', [join(roots.from, 'd/one'), join(roots.from, 'd/two')])
  await run('chmod', ['4750', join(roots.from, 'd/one')])
  await run('touch', ['-d', '@1000000000', join(roots.from, 'd/one')])
  await copy(roots.from, roots.to, { sources: ['d'], destination: '/a' })
  const [one, two] = [await lstat(join(roots.to, 'a/one')), await lstat(join(roots.to, 'a/two'))]
  expect(one.ino).toBe(two.ino)
  expect((one.mode & 0o7777).toString(8)).toBe('4750')
  expect(one.mtimeMs).toBe(1_000_000_000_000)
})
