import { once } from 'node:events'
import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { run } from '#host/exec'
import type { BuildContext } from '../../../buildkit-lite/context/contract.ts'
import { openDirectoryContext } from '../../../buildkit-lite/context/directory-context.ts'
import { openGitContext } from '../../../buildkit-lite/context/git-context.ts'

const signal = new AbortController().signal
let root: string

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'slip-context-'))
})
afterEach(async () => {
  await rm(root, { recursive: true, force: true })
})

async function write(path: string, content: string, mode = 0o644): Promise<void> {
  const full = join(root, 'src', path)
  await mkdir(dirname(full), { recursive: true })
  await writeFile(full, content)
  await chmod(full, mode)
}

const identity = { GIT_AUTHOR_NAME: 'a', GIT_AUTHOR_EMAIL: 'a@x', GIT_COMMITTER_NAME: 'a', GIT_COMMITTER_EMAIL: 'a@x' }

async function git(...args: string[]): Promise<string> {
  const env = { PATH: '/usr/bin:/bin', HOME: root, ...identity }
  const { stdout } = await run('git', ['-C', join(root, 'src'), ...args], { env })
  return stdout.toString().trim()
}

async function openGit(subdirectory = '/', dockerfile?: string): Promise<BuildContext> {
  await git('init', '-q')
  await git('add', '-A')
  await git('commit', '-qm', 'x')
  const commit = await git('rev-parse', 'HEAD')
  const place = { gitDir: join(root, 'src', '.git'), checkoutRoot: join(root, 'checkouts') }
  return await openGitContext({ ...place, commit, subdirectory, ...(dockerfile ? { dockerfile } : {}) }, signal)
}

const openers = {
  directory: () => openDirectoryContext(join(root, 'src')),
  git: () => openGit(),
}

describe.for(['directory', 'git'] as const)('a %s context', (kind) => {
  const open = () => openers[kind]()

  test('lists files, directories and links, sorted, with modes and content ids', async () => {
    await write('b/run.sh', 'echo', 0o755)
    await write('b-c', 'x')
    await write('a', 'x')
    await symlink('../../../etc/passwd', join(root, 'src', 'link'))
    await using context = await open()
    const entries = await context.entries(signal)
    expect(entries.map(({ path, kind, mode }) => [path, kind, kind === 'symlink' ? null : mode])).toEqual([
      ['a', 'file', 0o644],
      ['b', 'directory', 0o755],
      ['b-c', 'file', 0o644],
      ['b/run.sh', 'file', 0o755],
      ['link', 'symlink', null],
    ])
    const ids = new Map(entries.map(({ path, contentId }) => [path, contentId]))
    expect(ids.get('a')).toBe(ids.get('b-c'))
    expect(ids.get('a')).not.toBe(ids.get('b/run.sh'))
    expect(entries.at(-1)?.linkTarget).toBe('../../../etc/passwd')
  })

  test('leaves out what .dockerignore says, but still reads it by name', async () => {
    await write('.dockerignore', '*.log\n!keep.log\nsecret\n')
    await write('a.log', '1')
    await write('keep.log', '2')
    await write('secret/key', '3')
    await using context = await open()
    expect((await context.entries(signal)).map((entry) => entry.path)).toEqual(['.dockerignore', 'keep.log'])
    expect(await context.hiddenBy('secret/key')).toEqual({ file: '.dockerignore', line: 3, pattern: 'secret' })
    expect(await context.hiddenBy('/keep.log')).toBeNull()
    expect(await context.hiddenBy('gone.log')).toBeNull()
    expect((await context.readFile('secret/key', 10, signal))?.toString()).toBe('3')
  })

  test('names that are not UTF-8 survive', async () => {
    await write('ä', 'x')
    const bytes = Buffer.concat([Buffer.from(join(root, 'src/')), Buffer.from([0x66, 0xff])])
    await writeFile(bytes, 'y')
    await using context = await open()
    const paths = (await context.entries(signal)).map((entry) => entry.path)
    expect(paths).toEqual(['f\u00ff', Buffer.from('ä').toString('latin1')])
    const names = await readdir(await context.materialise(signal), { encoding: 'latin1' })
    expect(names).toEqual(expect.arrayContaining(paths))
  })

  test('never reads outside of its root, and refuses what is too large', async () => {
    await writeFile(join(root, 'outside'), 'secret')
    await write('inside', 'fine')
    await symlink('../outside', join(root, 'src', 'climbs'))
    await symlink(join(root, 'outside'), join(root, 'src', 'absolute'))
    await symlink('/inside', join(root, 'src', 'rooted'))
    await using context = await open()
    expect(await context.readFile('../outside', 100, signal)).toBeNull()
    expect(await context.readFile('climbs', 100, signal)).toBeNull()
    expect(await context.readFile('absolute', 100, signal)).toBeNull()
    expect(await context.readFile('nothing', 100, signal)).toBeNull()
    expect((await context.readFile('rooted', 100, signal))?.toString()).toBe('fine')
    await expect(context.readFile('inside', 3, signal)).rejects.toMatchObject({ kind: 'too-large' })
  })

  test('a broken ignore file is shown at its line', async () => {
    await write('.dockerignore', '# c\n*.log\na[\n')
    await write('a', 'x')
    await using context = await open()
    await expect(context.entries(signal)).rejects.toMatchObject({
      kind: 'context-invalid',
      message: expect.stringContaining('.dockerignore: syntax error in pattern "a["'),
      file: '.dockerignore',
      line: 3,
      excerpt: expect.stringContaining('   3 | >>> a['),
    })
  })
})

describe('a directory context', () => {
  test('follows no symlinked directory and knows pipes and sockets', async () => {
    await write('d/f', 'x')
    await symlink('d', join(root, 'src', 'l'))
    await run('mkfifo', [join(root, 'src', 'pipe')])
    const server = createServer().listen(join(root, 'src', 'socket'))
    await once(server, 'listening')
    await using context = await openDirectoryContext(join(root, 'src'))
    await using _server = server
    expect((await context.entries(signal)).map(({ path, kind }) => `${path} ${kind}`)).toEqual([
      'd directory',
      'd/f file',
      'l symlink',
      'pipe fifo',
      'socket socket',
    ])
  })

  test('the Dockerfile’s own ignore file goes before the common one', async () => {
    await write('.dockerignore', 'a\n')
    await write('sub/web.Dockerfile.dockerignore', 'b\n')
    await write('a', '1')
    await write('b', '2')
    await using context = await openDirectoryContext(join(root, 'src'), { dockerfile: 'sub/web.Dockerfile' })
    const paths = (await context.entries(signal)).map((entry) => entry.path)
    expect(paths).toContain('a')
    expect(paths).not.toContain('b')
  })

  test('a missing directory is the context’s fault', async () => {
    await expect(openDirectoryContext(join(root, 'none'))).rejects.toMatchObject({ kind: 'context-invalid' })
  })
})

describe('a git context', () => {
  test('checks out the tree once, and removes it', async () => {
    await write('.gitattributes', '*.txt text eol=crlf\n')
    await write('dir/a.txt', 'one\ntwo\n', 0o755)
    await symlink('dir/a.txt', join(root, 'src', 'link'))
    let directory: string
    {
      await using context = await openGit()
      directory = await context.materialise(signal)
      expect(await context.materialise(signal)).toBe(directory)
      expect(await readFile(join(directory, 'dir/a.txt'), 'utf8')).toBe('one\r\ntwo\r\n')
      expect(((await lstat(join(directory, 'dir/a.txt'))).mode & 0o777).toString(8)).toBe('755')
      expect(((await lstat(join(directory, 'dir'))).mode & 0o777).toString(8)).toBe('755')
      expect(await readlink(join(directory, 'link'))).toBe('dir/a.txt')
    }
    expect(await readdir(join(root, 'checkouts'))).toEqual([])
  })

  test('a subdirectory is a root of its own, with its own ignore file', async () => {
    await write('.dockerignore', 'app\n')
    await write('app/.dockerignore', 'x\n')
    await write('app/x', '1')
    await write('app/y', '2')
    await using context = await openGit('/app/')
    expect((await context.entries(signal)).map((entry) => entry.path)).toEqual(['.dockerignore', 'y'])
    expect(await readdir(await context.materialise(signal))).toEqual(expect.arrayContaining(['x', 'y']))
  })

  test.for(['/none', '/file', '/link', '/../..\nHEAD'])('refuses %j as a subdirectory', async (subdirectory) => {
    await write('file', '1')
    await write('dir/f', '1')
    await symlink('dir', join(root, 'src', 'link'))
    await expect(openGit(subdirectory)).rejects.toMatchObject({ kind: 'context-invalid' })
  })

  test('refuses what is no commit id', async () => {
    const place = { gitDir: root, checkoutRoot: root, subdirectory: '/', commit: '--help' }
    await expect(openGitContext(place, signal)).rejects.toMatchObject({ kind: 'context-invalid' })
  })
})
