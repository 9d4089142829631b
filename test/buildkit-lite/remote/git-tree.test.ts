import { mkdir, mkdtempDisposable, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { createSharedWork } from '#buildkit-lite'
import { run } from '#host/exec'
import { resolveGitCommit } from '../../../buildkit-lite/remote/git-checksum.ts'
import { chooseCommit, fetchCommit, type GitTools, resolveCommit } from '../../../buildkit-lite/remote/git-remote.ts'
import { resolveUrl } from '../../../buildkit-lite/remote/git-submodules.ts'
import { openGitTree } from '../../../buildkit-lite/remote/git-tree.ts'
import { gitAuthorization, httpAuthorization } from '../../../buildkit-lite/remote/remote-secrets.ts'
import { startGitServer } from '../../support/git-server.ts'

const never = new AbortController().signal
const IDENTITY = {
  GIT_AUTHOR_NAME: 'a',
  GIT_AUTHOR_EMAIL: 'a@example.com',
  GIT_COMMITTER_NAME: 'a',
  GIT_COMMITTER_EMAIL: 'a@example.com',
  GIT_CONFIG_GLOBAL: '/dev/null',
}

async function git(directory: string, ...args: string[]): Promise<string> {
  const env = { PATH: process.env['PATH'], ...IDENTITY }
  const { stdout } = await run('git', ['-c', 'protocol.file.allow=always', ...args], { cwd: directory, env })
  return stdout.toString().trim()
}

async function commit(repository: string, files: Record<string, string>): Promise<string> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(repository, name)), { recursive: true })
    await writeFile(join(repository, name), content)
  }
  await git(repository, 'add', '-A')
  await git(repository, 'commit', '-qm', 'one more')
  return await git(repository, 'rev-parse', 'HEAD')
}

async function openBench(password: string | null = null) {
  await using stack = new AsyncDisposableStack()
  const dir = stack.use(await mkdtempDisposable(join(tmpdir(), 'slip-git-')))
  const served = join(dir.path, 'served')
  const repository = join(served, 'a/main.git')
  await mkdir(repository, { recursive: true })
  await git(repository, 'init', '-q', '-b', 'main')
  const server = stack.use(await startGitServer(served, password))
  const tools: GitTools = {
    stateDir: join(dir.path, 'state'),
    sharedWork: createSharedWork(),
    access: { allowPrivate: true },
    sshAgent: null,
  }
  const owned = stack.move()
  const url = `${server.url}/a/main.git`
  const request = { url, ref: null, authorization: null, scope: 'test' }
  return {
    dir: dir.path,
    served,
    repository,
    server,
    tools,
    request,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

const all = { subdirectory: '/', submodules: true, keepGitDir: false }

test('a commit is found by its branch, tag or default, and its files are fetched without history', async () => {
  await using bench = await openBench()
  const first = await commit(bench.repository, { 'f.txt': 'one', 'd/run.sh': '#!/bin/sh' })
  await git(bench.repository, 'tag', '-a', 'v1', '-m', 'first')
  const second = await commit(bench.repository, { 'f.txt': 'two' })
  const resolve = (ref: string | null) => resolveCommit({ ...bench.request, ref }, bench.tools, never)
  expect(await resolve('v1')).toBe(first)
  expect(await resolve('refs/tags/v1')).toBe(first)
  expect(await resolve('main')).toBe(second)
  expect(await resolve(null)).toBe(second)
  expect(await resolve(first)).toBe(first)
  await expect(resolve('gone')).rejects.toThrow('does not contain ref gone')
  await using opened = await openGitTree({ ...bench.request, ref: 'v1', ...all, commit: first }, bench.tools, never)
  expect(opened.tree.names('/')).toEqual(['d', 'f.txt'])
  const files = await opened.files(never)
  expect(await readFile(files.at('/f.txt'), 'utf8')).toBe('one')
})

test('a checksum may be abbreviated, and has to be the commit', async () => {
  await using bench = await openBench()
  const id = await commit(bench.repository, { f: '1' })
  const check = (checksum: string) => resolveGitCommit({ ...bench.request, checksum }, bench.tools, never)
  expect(await check(id.slice(0, 8))).toBe(id)
  await expect(check('0123456')).rejects.toThrow(`expected checksum to match 0123456, got ${id}`)
})

test('submodules come with their commits, and repositories inside them too', async () => {
  await using bench = await openBench()
  const inner = join(bench.served, 'a/inner.git')
  const deep = join(bench.served, 'deep.git')
  for (const directory of [inner, deep]) {
    await mkdir(directory)
    await git(directory, 'init', '-q', '-b', 'main')
  }
  await commit(deep, { x: 'deep' })
  await commit(inner, { y: 'inner' })
  await git(inner, 'submodule', '--quiet', 'add', `${bench.server.url}/deep.git`, 'lib/deep')
  await commit(inner, {})
  await commit(bench.repository, { f: '1' })
  await git(bench.repository, 'submodule', '--quiet', 'add', `${bench.server.url}/a/inner.git`, 'mods/sub')
  await git(bench.repository, 'config', '-f', '.gitmodules', 'submodule.mods/sub.url', '../inner.git')
  const id = await commit(bench.repository, {})
  await using whole = await openGitTree({ ...bench.request, ...all, commit: id }, bench.tools, never)
  const files = await whole.files(never)
  expect(await readFile(files.at('/mods/sub/y'), 'utf8')).toBe('inner')
  expect(await readFile(files.at('/mods/sub/lib/deep/x'), 'utf8')).toBe('deep')
  await using below = await openGitTree(
    { ...bench.request, ...all, subdirectory: 'mods', commit: id },
    bench.tools,
    never,
  )
  expect(below.tree.lookUp('/sub/lib/deep/x')?.kind).toBe('file')
  const plain = { ...all, submodules: false }
  await using without = await openGitTree({ ...bench.request, ...plain, commit: id }, bench.tools, never)
  expect(without.tree.names('/mods/sub')).toEqual([])
})

test('a directory that is a link is no subdirectory', async () => {
  await using bench = await openBench()
  await symlink('/etc', join(bench.repository, 'link'))
  const id = await commit(bench.repository, { 'd/f': '1' })
  const open = openGitTree({ ...bench.request, ...all, subdirectory: 'link', commit: id }, bench.tools, never)
  await expect(open).rejects.toThrow('is not a directory')
  expect(await readdir(join(bench.tools.stateDir, 'steps'))).toEqual([])
})

test('the repository itself is kept where that is asked for, and work can go on in it', async () => {
  await using bench = await openBench()
  const id = await commit(bench.repository, { f: '1' })
  const kept = { ...bench.request, ...all, keepGitDir: true, commit: id }
  await using opened = await openGitTree(kept, bench.tools, never)
  expect(opened.tree.names('/')).toEqual(['.git', 'f'])
  const files = await opened.files(never)
  const gitDir = files.at('/.git').toString()
  expect(await git(bench.dir, `--git-dir=${gitDir}`, 'log', '--format=%H')).toBe(id)
  expect(await git(bench.dir, `--git-dir=${gitDir}`, 'remote', 'get-url', 'origin')).toBe(bench.request.url)
  const work = join(files.at('/f').toString(), '..')
  expect(await git(bench.dir, `--git-dir=${gitDir}`, `--work-tree=${work}`, 'status', '--porcelain')).toBe('')
})

test('what was fetched is there without the remote', async () => {
  await using bench = await openBench()
  const id = await commit(bench.repository, { f: '1' })
  await using _first = await openGitTree({ ...bench.request, ...all, commit: id }, bench.tools, never)
  await rm(bench.repository, { recursive: true })
  await using again = await openGitTree({ ...bench.request, ...all, commit: id }, bench.tools, never)
  expect(again.tree.names('/')).toEqual(['f'])
})

test('a password goes where it is for', async () => {
  await using bench = await openBench('secret')
  const id = await commit(bench.repository, { f: '1' })
  const authorization = `Basic ${Buffer.from('git:secret').toString('base64')}`
  expect(await resolveCommit({ ...bench.request, authorization }, bench.tools, never)).toBe(id)
  await expect(resolveCommit(bench.request, bench.tools, never)).rejects.toThrow('cannot be fetched')
})

test.for(['http', 'git', 'ssh'])('a stranger’s %s address does not lead to this machine', async (scheme) => {
  await using bench = await openBench()
  const url = `${scheme}://127.0.0.1/a/main.git`
  const tools = { ...bench.tools, access: { allowPrivate: false } }
  await expect(resolveCommit({ ...bench.request, url }, tools, never)).rejects.toThrow('which builds may not reach')
})

test.for([
  ['../c.git', 'https://h/a/b.git', 'https://h/a/c.git'],
  ['./c.git', 'https://h/a/b.git', 'https://h/a/b.git/c.git'],
  ['../c.git', 'git@h:a/b.git', 'git@h:a/c.git'],
  ['ssh://git@h/x', 'https://h/a/b.git', 'ssh://git@h/x'],
] as const)('submodule %s of %s is %s', ([named, parent, expected]) => {
  expect(resolveUrl(named, parent)).toBe(expected)
})

test.for(['/etc/x.git', 'file:///etc/x.git', 'ext::sh -c id', '--upload-pack=x'])(
  'submodule %s is refused',
  (named) => {
    expect(() => resolveUrl(named, 'https://h/a/b.git')).toThrow('is refused')
  },
)

test('branches go before tags of the same name', () => {
  const [one, two, three] = ['1', '2', '3'].map((digit) => digit.repeat(40))
  const listed = `${one}\trefs/tags/x\n${two}\trefs/tags/x^{}\n${three}\trefs/heads/x\n`
  expect(chooseCommit(listed, 'x')).toBe(three)
  expect(chooseCommit(listed, 'refs/tags/x')).toBe(two)
})

test('secrets say which host they are for', () => {
  const secrets = {
    GIT_AUTH_TOKEN: Buffer.from('all\n'),
    'GIT_AUTH_TOKEN.one.example': Buffer.from('one'),
    'GIT_AUTH_HEADER.two.example': Buffer.from('Bearer two'),
    'HTTP_AUTH_TOKEN_one.example': Buffer.from('t'),
  }
  const basic = (token: string) => `basic ${Buffer.from(`x-access-token:${token}`).toString('base64')}`
  expect(gitAuthorization(secrets, 'https://one.example/a.git')).toBe(basic('one'))
  expect(gitAuthorization(secrets, 'https://two.example/a.git')).toBe('Bearer two')
  expect(gitAuthorization(secrets, 'https://three.example/a.git')).toBe(basic('all'))
  expect(gitAuthorization(secrets, 'git@one.example:a.git')).toBeNull()
  expect(httpAuthorization(secrets, 'https://one.example/f')).toBe('Bearer t')
  expect(httpAuthorization(secrets, 'https://two.example/f')).toBeNull()
})

test('credentials stay with the host they are for, also below a submodule of another host', async () => {
  await using home = await openBench('hunter22')
  await using other = await openBench()
  const sub = join(other.served, 'a/sub.git')
  await mkdir(sub, { recursive: true })
  await git(sub, 'init', '-q', '-b', 'main')
  const links = async (repository: string, url: string, id: string) => {
    await writeFile(join(repository, '.gitmodules'), `[submodule "s"]\n\tpath = s\n\turl = ${url}\n`)
    await git(repository, 'add', '.gitmodules')
    await git(repository, 'update-index', '--add', '--cacheinfo', `160000,${id},s`)
    await git(repository, 'commit', '-qm', 'with a submodule')
    return await git(repository, 'rev-parse', 'HEAD')
  }
  const deep = await commit(sub, { deep: '1' })
  const lib = await links(other.repository, `${other.server.url}/a/sub.git`, deep)
  const top = await links(home.repository, `${other.server.url}/a/main.git`, lib)
  const authorization = `Basic ${Buffer.from('git:hunter22').toString('base64')}`
  const request = { ...home.request, ...all, authorization, commit: top }
  await using tree = await openGitTree(request, home.tools, never)
  expect(tree.tree.lookUp('/s/s/deep')).not.toBeNull()
  expect(home.server.authorizations).toContain(authorization)
  expect(other.server.authorizations.filter(Boolean)).toEqual([])
})

test('processes that share a directory fetch from one repository in turn, over what a killed one left', async () => {
  await using bench = await openBench()
  const shas = [await commit(bench.repository, { f: '1' }), await commit(bench.repository, { f: '2' })]
  const mirror = await fetchCommit({ ...bench.request, commit: shas[0] ?? '' }, bench.tools, never)
  for (const name of ['shallow.lock', 'packed-refs.lock']) await writeFile(join(mirror, name), '')
  const more = [...shas, await commit(bench.repository, { f: '3' }), await commit(bench.repository, { f: '4' })]
  // Each has its own idea of what is shared, as processes do.
  const others = () => ({ ...bench.tools, sharedWork: createSharedWork() })
  const fetched = more.map((sha) => fetchCommit({ ...bench.request, commit: sha }, others(), never))
  expect(new Set(await Promise.all(fetched))).toEqual(new Set([mirror]))
  for (const sha of more) expect(await git(mirror, 'cat-file', '-t', sha)).toBe('commit')
})
