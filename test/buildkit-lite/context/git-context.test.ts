import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { run } from '#host/exec'
import { createGitShared, type GitContextOptions, openGitContext } from '../../../buildkit-lite/context/git-context.ts'

const signal = new AbortController().signal
let root: string

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'slip-git-context-'))
  await mkdir(join(root, 'src'))
  await git('init', '-q', '-b', 'main')
})
afterEach(() => rm(root, { recursive: true, force: true }))

const identity = { GIT_AUTHOR_NAME: 'a', GIT_AUTHOR_EMAIL: 'a@x', GIT_COMMITTER_NAME: 'a', GIT_COMMITTER_EMAIL: 'a@x' }
const env = () => ({ PATH: '/usr/bin:/bin', HOME: root, GIT_CONFIG_NOSYSTEM: '1', ...identity })

async function git(...args: string[]): Promise<string> {
  return (await run('git', ['-C', join(root, 'src'), ...args], { env: env() })).stdout.toString().trim()
}

async function gitWith(input: string | Buffer, ...args: string[]): Promise<string> {
  return (await run('git', ['-C', join(root, 'src'), ...args], { env: env(), input })).stdout.toString().trim()
}

async function write(path: string, content: string | Buffer, mode = 0o644): Promise<void> {
  const full = join(root, 'src', path)
  await mkdir(dirname(full), { recursive: true })
  await writeFile(full, content)
  await chmod(full, mode)
}

async function commit(): Promise<string> {
  await git('add', '-A', '--renormalize', '.').catch(() => '')
  await git('add', '-A')
  await git('commit', '-qm', 'x')
  return await git('rev-parse', 'HEAD')
}

const open = (sha: string, more: Partial<GitContextOptions> = {}) =>
  openGitContext(
    { gitDir: join(root, 'src', '.git'), checkoutRoot: join(root, 'out'), commit: sha, subdirectory: '/', ...more },
    signal,
  )

async function contentIds(sha: string, more: Partial<GitContextOptions> = {}): Promise<Record<string, string | null>> {
  await using context = await open(sha, more)
  return Object.fromEntries((await context.entries(signal)).map(({ path, contentId }) => [path, contentId]))
}

/** Everything below a directory but `.git`: modes, targets and bytes. */
async function readAll(directory: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {}
  for (const name of await readdir(directory, { recursive: true, encoding: 'utf8' })) {
    if (name === '.git' || name.startsWith('.git/')) continue
    const path = join(directory, name)
    const stats = await lstat(path)
    const mode = (stats.mode & 0o777).toString(8)
    if (stats.isSymbolicLink()) found[name] = `link ${await readlink(path)}`
    else found[name] = stats.isDirectory() ? `directory ${mode}` : `${mode} ${await readFile(path, 'latin1')}`
  }
  return found
}

test('what is checked out equals a clone: line ends, encodings, identities, modes, links', async () => {
  await write(
    '.gitattributes',
    '*.bat text eol=crlf\n*.id ident\n*.u16 text working-tree-encoding=UTF-16LE-BOM\n*.raw -text eol=crlf\nVERSION export-subst\n',
  )
  await write('sub/.gitattributes', '*.sh eol=crlf\n*.bat -text\n')
  await write('a.bat', 'one\ntwo\n')
  await write('sub/a.bat', 'one\ntwo\n')
  await write('sub/run.sh', 'one\ntwo\n', 0o755)
  await write('x.id', '$Id$ and $Id: old $\n')
  await write('x.u16', Buffer.from('\ufeffgrüß\n', 'utf16le'))
  await write('x.raw', 'one\ntwo\n')
  await write('VERSION', '$Format:%H$\n')
  await symlink('sub/run.sh', join(root, 'src', 'link'))
  const sha = await commit()
  await run('git', ['clone', '-q', join(root, 'src'), join(root, 'clone')], { env: env() })
  const cloned = await readAll(join(root, 'clone'))
  expect(cloned['a.bat']).toContain('\r\n')
  await using context = await open(sha)
  expect(await readAll(await context.materialise(signal))).toEqual(cloned)
  await using inner = await open(sha, { subdirectory: '/sub' })
  expect(await readAll(await inner.materialise(signal))).toEqual(await readAll(join(root, 'clone', 'sub')))
})

test('attributes that change bytes change content ids, and others do not', async () => {
  await write('sub/a.bat', 'one\ntwo\n')
  await write('sub/b', 'x')
  const plain = await contentIds(await commit())
  await write('.gitattributes', '*.bat text\n* diff export-ignore\n')
  const harmless = await contentIds(await commit())
  expect(harmless).toMatchObject(plain)
  await write('.gitattributes', '*.bat text eol=crlf\n')
  const converted = await contentIds(await commit())
  expect(converted['sub/a.bat']).not.toBe(plain['sub/a.bat'])
  expect(converted['sub/b']).toBe(plain['sub/b'])
  // What stands above the directory that is built from counts as well.
  const below = await contentIds(await git('rev-parse', 'HEAD'), { subdirectory: '/sub' })
  expect(below).toEqual({ 'a.bat': converted['sub/a.bat'], b: plain['sub/b'] })
})

test('only what is asked for is written, with its directories, and the rest when it is', async () => {
  await write('a/one', '1')
  await write('a/b/two', '2')
  await write('c/three', '3')
  await using context = await open(await commit())
  const directory = await context.materialise(signal, ['a', 'a/one'])
  expect(await readAll(directory)).toEqual({ a: 'directory 755', 'a/one': '644 1' })
  expect(await context.materialise(signal, ['c/three', 'c', 'a/one'])).toBe(directory)
  expect(Object.keys(await readAll(directory)).sort()).toEqual(['a', 'a/one', 'c', 'c/three'])
  await Promise.all([context.materialise(signal, ['a/b/two']), context.materialise(signal)])
  expect(Object.keys(await readAll(directory)).sort()).toEqual(['a', 'a/b', 'a/b/two', 'a/one', 'c', 'c/three'])
})

test('contexts of one commit share a checkout while one of them is in use', async () => {
  await write('f', '1')
  const sha = await commit()
  const shared = createGitShared()
  {
    await using first = await open(sha, { shared })
    const directory = await first.materialise(signal, ['f'])
    {
      await using second = await open(sha, { shared })
      expect(await second.materialise(signal)).toBe(directory)
      // Listed once: the very same entries.
      expect(await second.entries(signal)).toBe(await first.entries(signal))
    }
    expect(await readFile(join(directory, 'f'), 'utf8')).toBe('1')
  }
  expect(await readdir(join(root, 'out'))).toEqual([])
  const all = await Promise.all(Array.from({ length: 4 }, () => open(sha, { shared })))
  const places = new Set(await Promise.all(all.map((context) => context.materialise(signal))))
  expect(places.size).toBe(1)
  await Promise.all(all.map((context) => context[Symbol.asyncDispose]()))
  expect(await readdir(join(root, 'out'))).toEqual([])
})

test('a listing that is kept is not taken for that of other attributes or another ignore file', async () => {
  await write('sub/a.bat', 'one\n')
  await write('sub/log', 'x')
  const shared = createGitShared()
  const first = await contentIds(await commit(), { shared, subdirectory: '/sub' })
  await write('.gitattributes', '*.bat eol=crlf\n')
  const second = await contentIds(await commit(), { shared, subdirectory: '/sub' })
  expect(second['a.bat']).not.toBe(first['a.bat'])
  await write('sub/.dockerignore', 'log\n')
  await write('sub/Own.dockerignore', 'a.bat\n')
  const sha = await commit()
  expect(await contentIds(sha, { shared, subdirectory: '/sub' })).not.toHaveProperty('log')
  const own = await contentIds(sha, { shared, subdirectory: '/sub', dockerfile: 'Own' })
  expect(own).toHaveProperty('log')
  expect(own).not.toHaveProperty(['a.bat'])
})

test('a pointer of Git LFS is copied as it is, and that is said', async () => {
  await write('.gitattributes', '*.bin filter=lfs diff=lfs merge=lfs -text\n')
  for (let index = 0; index < 12; index++) await write(`${10 + index}.bin`, `pointer ${index}\n`)
  await write('plain', 'x')
  await using context = await open(await commit())
  const paths = (await context.entries(signal)).map(({ path }) => path)
  expect(context.remarks?.(['plain'])).toEqual([])
  expect(context.remarks?.(paths)?.join('')).toMatch(/^Git LFS .* 10\.bin, .* 19\.bin and 2 more\n$/)
  expect(await readFile(join(await context.materialise(signal), '10.bin'), 'utf8')).toBe('pointer 0\n')
})

test('no filter, hook or setting of the repository runs', async () => {
  const proof = join(root, 'proof')
  await write('.gitattributes', '* filter=evil\n')
  await write('f', 'x')
  await write('hooks/post-checkout', `#!/bin/sh\ntouch ${proof}\n`, 0o755)
  const sha = await commit()
  await git('config', 'filter.evil.smudge', `touch ${proof}; cat`)
  await git('config', 'core.fsmonitor', `touch ${proof}`)
  await git('config', 'core.hooksPath', join(root, 'src', 'hooks'))
  await using context = await open(sha)
  await context.entries(signal)
  expect(await readFile(join(await context.materialise(signal), 'f'), 'utf8')).toBe('x')
  expect(await readdir(root)).not.toContain('proof')
})

describe('a hostile tree', () => {
  /** A commit of a tree that `git add` would not make. */
  async function commitTree(records: string): Promise<string> {
    const blob = await gitWith('evil', 'hash-object', '-w', '--stdin')
    const raw = Buffer.concat(
      records.split('\n').flatMap((line) => {
        const [mode, ...name] = line.split(' ')
        return [Buffer.from(`${mode} ${name.join(' ')}\0`), Buffer.from(blob, 'hex')]
      }),
    )
    const tree = await gitWith(raw, 'hash-object', '-w', '-t', 'tree', '--stdin', '--literally')
    return await gitWith('', 'commit-tree', tree, '-m', 'evil')
  }

  test.for([
    '.git',
    '.GIT',
    '..',
    '.',
    'git~1',
    '.git ',
    '.git.',
    '.git::$INDEX_ALLOCATION',
    '.g\u200cit',
    '\u200c.git',
  ])('is refused for %j', async (name) => {
    await expect(open(await commitTree(`100644 ${name}`))).rejects.toMatchObject({
      kind: 'context-invalid',
      message: expect.stringContaining('refused'),
    })
  })

  test('is refused for a name that is there twice', async () => {
    await expect(open(await commitTree('120000 a\n100644 a'))).rejects.toMatchObject({ kind: 'context-invalid' })
  })

  test.for(['.github', '...', ' ', 'git', '.gitignore', 'git~2', 'a:b', '-f', '--help', '.gi\u00eft'])(
    'is not what %j is',
    async (name) => {
      await using context = await open(await commitTree(`100644 ${name}`))
      const [entry] = await context.entries(signal)
      const directory = await context.materialise(signal, [entry?.path ?? ''])
      expect(await readFile(join(directory, name), 'utf8')).toBe('evil')
    },
  )
})
