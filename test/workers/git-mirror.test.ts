import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { CommitSha, ProjectName } from '#domain/ids'
import { run } from '#host/exec'
import { openGitMirrors } from '../../workers/git-mirror.ts'
import { startGitServer } from '../support/git-server.ts'

const project = ProjectName.parse('acme/web')
const forever = new AbortController().signal
let dir: string

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'slip-mirror-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

async function git(...args: string[]): Promise<string> {
  const identity = ['-c', 'user.name=Ann', '-c', 'user.email=ann@example.org']
  return (await run('git', ['-C', join(dir, 'work'), ...identity, ...args])).stdout.toString().trim()
}

/** A working copy with one commit, and the bare repository it pushes to. */
async function makeRepository(): Promise<void> {
  await mkdir(join(dir, 'work'))
  await mkdir(join(dir, 'served'))
  await run('git', ['init', '--quiet', '--bare', '-b', 'main', join(dir, 'served', 'web.git')])
  await git('init', '--quiet', '-b', 'main')
  await git('remote', 'add', 'origin', join(dir, 'served', 'web.git'))
}

async function commit(text: string): Promise<CommitSha> {
  await writeFile(join(dir, 'work', 'file'), text)
  await git('add', '.')
  await git('commit', '--quiet', '-m', `Say ${text}`)
  await git('push', '--quiet', '--force', 'origin', 'HEAD')
  return CommitSha.parse(await git('rev-parse', 'HEAD'))
}

async function fileAt(repositoryDir: string, sha: string): Promise<string> {
  return (await run('git', ['-C', repositoryDir, 'show', `${sha}:file`])).stdout.toString()
}

test('the exact commit of an event is fetched, though the branch has moved on, and again incrementally', async () => {
  await makeRepository()
  const [first, second] = [await commit('one'), await commit('two')]
  await using server = await startGitServer(join(dir, 'served'))
  const mirrors = openGitMirrors(join(dir, 'git'))
  const request = { project, repository: `${server.url}/web.git`, ref: 'refs/heads/main' }
  const source = await mirrors.fetch({ ...request, commit: first }, forever)
  expect(source).toMatchObject({ message: 'Say one', author: 'Ann' })
  expect(await fileAt(source.repositoryDir, first)).toBe('one')
  const requests = server.authorizations.length
  expect(await mirrors.fetch({ ...request, commit: first }, forever)).toEqual(source)
  expect(server.authorizations).toHaveLength(requests)
  const third = await commit('three')
  for (const [sha, text] of [
    [second, 'two'],
    [third, 'three'],
  ] as const)
    expect(await fileAt((await mirrors.fetch({ ...request, commit: sha }, forever)).repositoryDir, sha)).toBe(text)
})

test('a commit that a force push took from the branch is still built', async () => {
  await makeRepository()
  await commit('base')
  const lost = await commit('lost')
  await git('reset', '--quiet', '--hard', 'HEAD~1')
  await commit('instead')
  await run('git', ['-C', join(dir, 'served', 'web.git'), 'config', 'uploadpack.allowAnySHA1InWant', 'true'])
  await using server = await startGitServer(join(dir, 'served'))
  const mirrors = openGitMirrors(join(dir, 'git'))
  const request = { project, repository: `${server.url}/web.git`, ref: 'refs/heads/main', commit: lost }
  expect(await mirrors.fetch(request, forever)).toMatchObject({ message: 'Say lost' })
})

test('several fetches of one repository at once take turns', async () => {
  await makeRepository()
  const commits = [await commit('a'), await commit('b'), await commit('c')]
  await using server = await startGitServer(join(dir, 'served'))
  const mirrors = openGitMirrors(join(dir, 'git'))
  const request = { project, repository: `${server.url}/web.git`, ref: 'refs/heads/main' }
  const sources = await Promise.all(commits.map((sha) => mirrors.fetch({ ...request, commit: sha }, forever)))
  expect(sources.map((source) => source.message)).toEqual(['Say a', 'Say b', 'Say c'])
})

test('credentials reach the server and are written nowhere', async () => {
  await makeRepository()
  const sha = await commit('secret')
  await using server = await startGitServer(join(dir, 'served'), 'hunter22')
  const mirrors = openGitMirrors(join(dir, 'git'))
  const repository = `${server.url.replace('//', '//git:hunter22@')}/web.git`
  const { repositoryDir } = await mirrors.fetch({ project, repository, ref: 'refs/heads/main', commit: sha }, forever)
  for (const entry of await readdir(repositoryDir, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const text = await readFile(join(entry.parentPath, entry.name), 'latin1')
    expect(text).not.toContain('hunter22')
    expect(text).not.toContain(Buffer.from('git:hunter22').toString('base64'))
  }
  const wrong = repository.replace('hunter22', 'hunter33')
  const other = { project: ProjectName.parse('evil/web'), repository: wrong, ref: 'refs/heads/main', commit: sha }
  await expect(mirrors.fetch(other, forever)).rejects.toMatchObject({
    kind: 'source-unavailable',
    message: expect.not.stringContaining('hunter33'),
  })
})

test('what was pushed to us is read where it lies', async () => {
  await makeRepository()
  const sha = await commit('ours')
  const repositoryDir = join(dir, 'git', 'repos', 'acme', 'web.git')
  await mkdir(join(dir, 'git', 'repos', 'acme'), { recursive: true })
  await run('git', ['clone', '--quiet', '--bare', join(dir, 'served', 'web.git'), repositoryDir])
  const mirrors = openGitMirrors(join(dir, 'git'))
  const request = { project, repository: null, ref: 'refs/heads/main', commit: sha }
  expect(await mirrors.fetch(request, forever)).toEqual({ repositoryDir, message: 'Say ours', author: 'Ann' })
  const missing = { ...request, commit: CommitSha.parse('0'.repeat(40)) }
  await expect(mirrors.fetch(missing, forever)).rejects.toMatchObject({ kind: 'source-unavailable' })
  const nothing = { ...request, project: ProjectName.parse('acme/none') }
  await expect(mirrors.fetch(nothing, forever)).rejects.toMatchObject({ kind: 'source-unavailable' })
})

test.for(['file:///etc', 'ext::sh -c id', '--upload-pack=id'])('%s never reaches git', async (repository) => {
  const mirrors = openGitMirrors(join(dir, 'git'))
  const request = { project, repository, ref: 'refs/heads/main', commit: CommitSha.parse('0'.repeat(40)) }
  await expect(mirrors.fetch(request, forever)).rejects.toMatchObject({ kind: 'source-unavailable' })
  expect(await readdir(dir)).toEqual([])
})

test('a server that is not there is told as such, and an abort ends the wait', async () => {
  const mirrors = openGitMirrors(join(dir, 'git'))
  const commit = CommitSha.parse('0'.repeat(40))
  const request = { project, repository: 'http://127.0.0.1:1/web.git', ref: 'refs/heads/main', commit }
  await expect(mirrors.fetch(request, forever)).rejects.toMatchObject({ kind: 'source-unavailable' })
  const reason = new Error('cancelled')
  await expect(mirrors.fetch(request, AbortSignal.abort(reason))).rejects.toThrow()
})
