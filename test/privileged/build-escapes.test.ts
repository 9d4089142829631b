import { mkdir, mkdtempDisposable, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openDirectoryContext } from '#buildkit-lite'
import { SlipwayError } from '#domain/errors'
import { exited, spawn } from '#host/exec'
import { openSys } from '#host/sys'
import type { CopyOperation } from '../../buildkit-lite/plan/plan.ts'
import { copySources } from '../../buildkit-lite/solver/copy-sources.ts'
import { createPause } from '../../buildkit-lite/solver/copy-task.ts'
import { NO_EXCLUSION, treeOfEntries } from '../../buildkit-lite/solver/file-tree.ts'
import { openFile, openSourceFiles } from '../../buildkit-lite/solver/source-files.ts'
import { writeTar } from '../support/make-files.ts'

const never = new AbortController().signal
const SECRET = 'what lies outside'

/** Exchanges a directory and a link to another one as fast as it can, until it is killed. */
const FLIP = `
const fs = require('node:fs')
const [dir, target] = process.argv.slice(1)
process.stdout.write('ready')
for (;;) {
  fs.renameSync(dir, dir + '.aside')
  fs.symlinkSync(target, dir)
  fs.unlinkSync(dir)
  fs.renameSync(dir + '.aside', dir)
}`

async function openRoots() {
  const dir = await mkdtempDisposable(join(tmpdir(), 'slip-escape-'))
  const [context, outside, root] = ['context', 'outside', 'root'].map((name) => join(dir.path, name)) as [
    string,
    string,
    string,
  ]
  await mkdir(join(context, 'd/deep'), { recursive: true })
  await mkdir(join(outside, 'deep'), { recursive: true })
  await mkdir(root)
  for (const name of ['a', 'b', 'deep/c']) {
    await writeFile(join(context, 'd', name), 'inside')
    await writeFile(join(outside, name), SECRET)
  }
  return { context, outside, root, [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose]() }
}

function operation(sources: string[], destination: string, more: Partial<CopyOperation> = {}): CopyOperation {
  return {
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
}

async function copy(contextDir: string, root: string, copied: CopyOperation): Promise<void> {
  await using context = await openDirectoryContext(contextDir)
  const tree = treeOfEntries(await context.entries(never))
  using files = openSourceFiles(await context.materialise(never))
  const task = {
    sys: openSys(),
    root,
    tree,
    files,
    keepOwner: false,
    owner: null,
    mode: null,
    exclusion: NO_EXCLUSION,
    hardLinks: new Map<string, string>(),
    pause: createPause(never),
  }
  await copySources(task, copied, { open: async () => Promise.reject(new Error('nothing is elsewhere')) }, never)
}

/** Of every file; links are not followed, which Node's own recursion would do. */
async function contents(root: string): Promise<string[]> {
  const entries = await readdir(root, { withFileTypes: true })
  const found = entries.map(async (entry) => {
    const path = join(root, entry.name)
    if (entry.isDirectory()) return await contents(path)
    return entry.isFile() ? [await readFile(path, 'utf8')] : []
  })
  return (await Promise.all(found)).flat()
}

test('a directory that becomes a link while it is copied lets nothing in from outside', async () => {
  await using roots = await openRoots()
  const flipper = spawn(process.execPath, ['-e', FLIP, join(roots.context, 'd'), roots.outside])
  const disturbed = { failed: 0, linked: 0 }
  try {
    await new Promise((resolve) => flipper.stdout?.once('data', resolve))
    for (let round = 0; round < 400; round++) {
      const root = join(roots.root, String(round))
      await mkdir(root)
      try {
        await copy(roots.context, root, operation(['.'], '/'))
        if ((await contents(root)).length === 0) disturbed.linked++
      } catch (error) {
        // It may be told that something moved; it may never be led elsewhere.
        const isTold = error instanceof SlipwayError || (error as NodeJS.ErrnoException).code === 'ENOENT'
        if (!isTold) throw error
        disturbed.failed++
      }
      expect(await contents(root)).not.toContain(SECRET)
      await rm(root, { recursive: true })
    }
  } finally {
    flipper.kill('SIGKILL')
    await exited(flipper)
  }
  expect(disturbed.failed + disturbed.linked).toBeGreaterThan(0)
})

test('what was exchanged after it was listed is not followed', async () => {
  await using roots = await openRoots()
  using files = openSourceFiles(roots.context)
  await rm(join(roots.context, 'd'), { recursive: true })
  await symlink(roots.outside, join(roots.context, 'd'))
  expect(() => files.at('/d/a')).toThrow('"/d" was changed or removed')
  expect(() => openFile(files, '/d')).toThrow('"/d" was changed or removed')
})

test('a directory that is held open is still the one that was listed', async () => {
  await using roots = await openRoots()
  using files = openSourceFiles(roots.context)
  files.at('/d/a')
  await rm(join(roots.context, 'd'), { recursive: true })
  await symlink(roots.outside, join(roots.context, 'd'))
  expect(() => openFile(files, '/d/a')).toThrow('"/d/a" was changed or removed')
})

test.for<[string, Parameters<typeof writeTar>[0]]>([
  ['an absolute name', [['/../../outside/new', 'file', '0644', 0, 0, 'x']]],
  ['a climbing name', [['a/../../../outside/new', 'file', '0644', 0, 0, 'x']]],
  [
    'a link that is written through',
    [
      ['l', 'symlink', '0777', 0, 0, '../../outside'],
      ['l/new', 'file', '0644', 0, 0, 'x'],
    ],
  ],
  [
    'a hard link to a file outside',
    [
      ['l', 'symlink', '0777', 0, 0, '../../outside'],
      ['h', 'hardlink', '0644', 0, 0, 'l/a'],
    ],
  ],
  ['a hard link by a climbing name', [['h', 'hardlink', '0644', 0, 0, '../../outside/a']]],
  [
    'a hard link over a link',
    [
      ['l', 'symlink', '0777', 0, 0, '../../outside/a'],
      ['h', 'hardlink', '0777', 0, 0, 'l'],
      ['h', 'file', '0644', 0, 0, 'x'],
    ],
  ],
  ['a whiteout of what is outside', [['../../outside/.wh.a', 'file', '0644', 0, 0, '']]],
  ['a whiteout of the parent', [['x/.wh...', 'file', '0644', 0, 0, '']]],
])('an archive with %s changes nothing outside', async ([, members]) => {
  await using roots = await openRoots()
  await writeFile(join(roots.context, 'x.tar'), writeTar(members))
  await mkdir(join(roots.root, 'to'))
  const unpacked = copy(roots.context, roots.root, operation(['x.tar'], '/to/', { unpack: 'local' }))
  await unpacked.catch((error: unknown) => expect(error).toBeInstanceOf(SlipwayError))
  expect((await readdir(roots.outside)).toSorted()).toEqual(['a', 'b', 'deep'])
  expect(await readFile(join(roots.outside, 'a'), 'utf8')).toBe(SECRET)
  expect(await contents(roots.root)).not.toContain(SECRET)
  expect(await readdir(roots.root)).toEqual(['to'])
})

test('links that are named lead no further than the context', async () => {
  await using roots = await openRoots()
  await symlink(join(roots.outside, 'a'), join(roots.context, 'absolute'))
  await symlink('../outside/a', join(roots.context, 'climbs'))
  await symlink('../../../../../../d/a', join(roots.context, 'rooted'))
  await copy(roots.context, roots.root, operation(['rooted'], '/r'))
  expect(await readFile(join(roots.root, 'r'), 'utf8')).toBe('inside')
  for (const name of ['absolute', 'climbs', '../outside/a', '../*/a']) {
    await copy(roots.context, roots.root, operation([name], '/x/')).catch((error: unknown) =>
      expect(error).toBeInstanceOf(SlipwayError),
    )
  }
  expect(await contents(roots.root)).not.toContain(SECRET)
})
