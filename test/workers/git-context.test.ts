import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type BuildContext, createSharedWork } from '#buildkit-lite'
import { ProjectName } from '#domain/ids'
import { run } from '#host/exec'
import { contextOpener } from '../../workers/git-context.ts'
import { startGitServer } from '../support/git-server.ts'

const project = ProjectName.parse('acme/web')
const forever = new AbortController().signal
let dir: string

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'slip-git-context-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

const IDENTITY = { GIT_AUTHOR_NAME: 'a', GIT_AUTHOR_EMAIL: 'a@x', GIT_COMMITTER_NAME: 'a', GIT_COMMITTER_EMAIL: 'a@x' }

async function git(name: string, ...args: string[]): Promise<string> {
  const env = { PATH: process.env['PATH'], HOME: dir, ...IDENTITY }
  return (await run('git', ['-C', join(dir, name), ...args], { env })).stdout.toString().trim()
}

/** A repository with these files, and further repositories' commits at paths of it. */
async function makeRepository(
  name: string,
  files: Record<string, string>,
  submodules: Record<string, { url: string; commit: string }> = {},
): Promise<string> {
  await mkdir(join(dir, name), { recursive: true })
  await git(name, 'init', '-q', '-b', 'main')
  const modules = Object.entries(submodules).map(
    ([path, { url }]) => `[submodule "${path}"]\n\tpath = ${path}\n\turl = ${url}\n`,
  )
  const all = modules.length > 0 ? { ...files, '.gitmodules': modules.join('') } : files
  for (const [path, content] of Object.entries(all)) {
    await mkdir(dirname(join(dir, name, path)), { recursive: true })
    await writeFile(join(dir, name, path), content)
  }
  await git(name, 'add', '-A')
  for (const [path, { commit }] of Object.entries(submodules))
    await git(name, 'update-index', '--add', '--cacheinfo', `160000,${commit},${path}`)
  await git(name, 'commit', '-qm', 'x')
  return await git(name, 'rev-parse', 'HEAD')
}

async function open(name: string, commit: string, repository: string | null, more = {}): Promise<BuildContext> {
  const opener = contextOpener({
    checkoutRoot: join(dir, 'out'),
    stateDir: join(dir, 'state'),
    sharedWork: createSharedWork(),
  })
  const source = { gitDir: join(dir, name, '.git'), commit, subdirectory: '/', keepGitDir: false, ...more }
  return await opener({ ...source, project, repository }, forever)
}

async function filesOf(context: BuildContext): Promise<string[]> {
  const entries = await context.entries(forever)
  return entries.filter(({ kind }) => kind === 'file').map(({ path }) => path)
}

test('submodules and theirs come with a push, private ones with the credentials of the project', async () => {
  await using server = await startGitServer(dir, 'hunter22')
  const inner = await makeRepository('inner', { deep: '3' })
  const lib = await makeRepository('lib', { two: '2' }, { inner: { url: '../../inner/.git', commit: inner } })
  const main = await makeRepository('main', { one: '1' }, { 'vendor/lib': { url: '../../lib/.git', commit: lib } })
  const repository = `${server.url.replace('//', '//git:hunter22@')}/main/.git`
  await using context = await open('main', main, repository)
  expect(await filesOf(context)).toEqual([
    '.gitmodules',
    'one',
    'vendor/lib/.gitmodules',
    'vendor/lib/inner/deep',
    'vendor/lib/two',
  ])
  const directory = await context.materialise(forever)
  expect(await readFile(join(directory, 'vendor/lib/inner/deep'), 'utf8')).toBe('3')
  await using below = await open('main', main, repository, { subdirectory: '/vendor' })
  expect(await filesOf(below)).toEqual(['lib/.gitmodules', 'lib/inner/deep', 'lib/two'])
})

test('credentials are for the host of the project, and not for repositories that another host names', async () => {
  await using home = await startGitServer(dir, 'hunter22')
  await using other = await startGitServer(dir)
  const inner = await makeRepository('inner', { deep: '3' })
  const lib = await makeRepository('lib', { two: '2' }, { inner: { url: '../inner/.git', commit: inner } })
  const main = await makeRepository('main', { one: '1' }, { lib: { url: `${other.url}/lib/.git`, commit: lib } })
  const repository = `${home.url.replace('//', '//git:hunter22@')}/main/.git`
  // Other hosts may not be in a private network, as this one is.
  await expect(open('main', main, repository)).rejects.toMatchObject({ kind: 'source-unavailable' })
  expect(other.authorizations).toEqual([])
  expect(home.authorizations).toEqual([])
})

test.for([
  ['ext::sh -c id', 'expected http, ssh or git'],
  ['file:///etc', 'expected http, ssh or git'],
  ['/etc', 'expected http, ssh or git'],
  ['--upload-pack=id', 'expected http, ssh or git'],
  ['../../../../../etc', 'cannot be fetched'],
  ['http://127.0.0.1:1/x.git', '127.0.0.1'],
] as const)('a submodule at %j is refused', async ([url, message]) => {
  await using server = await startGitServer(join(dir, 'none'))
  const main = await makeRepository('main', { one: '1' }, { lib: { url, commit: '1'.repeat(40) } })
  await expect(open('main', main, `${server.url}/main/.git`)).rejects.toMatchObject({
    kind: 'source-unavailable',
    message: expect.stringContaining(message),
  })
})

test('a repository that was pushed here has no neighbours', async () => {
  const main = await makeRepository('main', { one: '1' }, { lib: { url: '../lib.git', commit: '1'.repeat(40) } })
  await expect(open('main', main, null)).rejects.toMatchObject({
    kind: 'source-unavailable',
    message: expect.stringContaining('a repository that was pushed here'),
  })
})

test('ten thousand submodules are refused before any is fetched', async () => {
  await using server = await startGitServer(dir)
  await makeRepository('main', { one: '1', '.gitmodules': '' })
  const names = Array.from({ length: 10_000 }, (_, index) => `m${index}`)
  const config = names.map((name) => `[submodule "${name}"]\n\tpath = ${name}\n\turl = ../lib\n`).join('')
  await writeFile(join(dir, 'main', '.gitmodules'), config)
  await git('main', 'add', '.gitmodules')
  const input = names.map((name) => `160000 ${'1'.repeat(40)}\t${name}\n`).join('')
  await run('git', ['-C', join(dir, 'main'), 'update-index', '--index-info'], { input })
  await git('main', 'commit', '-qm', 'many')
  const commit = await git('main', 'rev-parse', 'HEAD')
  await expect(open('main', commit, `${server.url}/main/.git`)).rejects.toMatchObject({
    kind: 'source-unavailable',
    message: expect.stringContaining('more than 500 submodules'),
  })
  expect(server.authorizations).toEqual([])
})

test('without .gitmodules, submodules are empty directories', async () => {
  const main = await makeRepository('main', { one: '1' })
  await git('main', 'update-index', '--add', '--cacheinfo', `160000,${'1'.repeat(40)},lib`)
  await git('main', 'commit', '-qm', 'a link')
  await using context = await open('main', await git('main', 'rev-parse', 'HEAD'), null)
  expect((await context.entries(forever)).map(({ path, kind }) => `${path} ${kind}`)).toEqual([
    'lib directory',
    'one file',
  ])
  expect(await readdir(join(await context.materialise(forever, ['lib']), 'lib'))).toEqual([])
  expect(main).toMatch(/^[0-9a-f]{40}$/)
})

test('.git is kept where that is asked for', async () => {
  const main = await makeRepository('main', { one: '1' })
  await using context = await open('main', main, null, { keepGitDir: true })
  expect(await filesOf(context)).toContain('.git/HEAD')
})
