import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { CommitSha, ProjectName } from '#domain/ids'
import { run, spawn } from '#host/exec'
import { openGitMirrors } from '../../workers/git-mirror.ts'
import { type GitServer, startGitServer } from '../support/git-server.ts'

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

/** A mirror that has one commit, with the request that made it. */
async function makeMirror(server: GitServer) {
  const sha = await commit('one')
  const request = { project, repository: `${server.url}/web.git`, ref: 'refs/heads/main', commit: sha }
  const { repositoryDir } = await openGitMirrors(join(dir, 'git')).fetch(request, forever)
  const packs = (await readdir(join(repositoryDir, 'objects', 'pack'))).map((name) =>
    join(repositoryDir, 'objects', 'pack', name),
  )
  return { request, repositoryDir, packs }
}

const damages = {
  'a truncated pack': async ({ packs }) => {
    for (const pack of packs.filter((name) => name.endsWith('.pack'))) await truncate(pack, 60)
  },
  'no objects': async ({ repositoryDir }) => rm(join(repositoryDir, 'objects'), { recursive: true }),
  'no HEAD': async ({ repositoryDir }) => rm(join(repositoryDir, 'HEAD')),
  'a missing file': async ({ repositoryDir, request }) => {
    const id = (await git('rev-parse', `${request.commit}:file`)).trim()
    const unpack = { input: await readFile(join(repositoryDir, 'whole.pack')) }
    await run('git', ['-C', repositoryDir, 'unpack-objects', '-q'], unpack)
    await rm(join(repositoryDir, 'objects', id.slice(0, 2), id.slice(2)))
  },
  'a damaged config': async ({ repositoryDir }) => writeFile(join(repositoryDir, 'config'), '[core'),
} satisfies Record<string, (mirror: Awaited<ReturnType<typeof makeMirror>>) => Promise<void>>

test.for(Object.keys(damages) as (keyof typeof damages)[])('a mirror with %s is made again', async (name) => {
  await makeRepository()
  await using server = await startGitServer(join(dir, 'served'))
  const mirror = await makeMirror(server)
  const { request, repositoryDir, packs } = mirror
  if (name === 'a missing file') {
    const pack = packs.find((file) => file.endsWith('.pack'))
    await rename(pack ?? '', join(repositoryDir, 'whole.pack'))
    for (const file of packs) await rm(file, { force: true })
  }
  await damages[name](mirror)
  // As after a restart: nothing is known of the mirror.
  const mirrors = openGitMirrors(join(dir, 'git'))
  const second = await commit('two')
  for (const sha of [request.commit, second]) await mirrors.fetch({ ...request, commit: sha }, forever)
  expect(await fileAt(repositoryDir, request.commit)).toBe('one')
  expect(await fileAt(repositoryDir, second)).toBe('two')
  expect((await readdir(join(dir, 'git', 'mirrors'))).filter((one) => one.includes('damaged'))).toEqual([])
})

test('damage that only shows when files are read ends with the next fetch', async () => {
  await makeRepository()
  await writeFile(join(dir, 'work', 'noise'), randomBytes(100_000))
  await using server = await startGitServer(join(dir, 'served'))
  const { request, repositoryDir, packs } = await makeMirror(server)
  const mirrors = openGitMirrors(join(dir, 'git'))
  const source = { repositoryDir, commit: request.commit }
  // A file may be called like that.
  const innocent = new Error('"/corrupt": not found')
  expect(await mirrors.explain(innocent, source)).toBe(innocent)
  const pack = packs.find((name) => name.endsWith('.pack')) ?? ''
  const bytes = await readFile(pack)
  bytes.fill(0x55, 50_000, 50_100)
  await chmod(pack, 0o600)
  await writeFile(pack, bytes)
  const failed = await run('git', ['-C', repositoryDir, 'show', `${request.commit}:noise`]).catch(
    (error: unknown) => error,
  )
  expect(await mirrors.explain(failed, source)).toMatchObject({ kind: 'unavailable' })
  await mirrors.fetch(request, forever)
  expect(await fileAt(repositoryDir, request.commit)).toBe('one')
  await run('git', ['-C', repositoryDir, 'show', `${request.commit}:noise`])
})

test('what a killed fetch left does not stop the next one', async () => {
  await makeRepository()
  await using server = await startGitServer(join(dir, 'served'))
  const { request, repositoryDir } = await makeMirror(server)
  for (const name of ['shallow.lock', 'packed-refs.lock', 'objects/pack/tmp_pack_x', 'config.lock'])
    await writeFile(join(repositoryDir, name), '')
  const second = await commit('two')
  await openGitMirrors(join(dir, 'git')).fetch({ ...request, commit: second }, forever)
  expect(await fileAt(repositoryDir, second)).toBe('two')
  expect(await readdir(repositoryDir)).not.toContain('shallow.lock')
})

test('a lock whose holder was killed is free, and one that is held is waited for', async () => {
  await makeRepository()
  await using server = await startGitServer(join(dir, 'served'))
  const { request, repositoryDir } = await makeMirror(server)
  const second = { ...request, commit: await commit('two') }
  const holder = spawn('flock', ['--exclusive', '--no-fork', `${repositoryDir}.lock`, 'cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  holder.stdin?.write('held\n')
  await once(holder.stdout ?? holder, 'data')
  let isDone = false
  const fetched = openGitMirrors(join(dir, 'git'))
    .fetch(second, forever)
    .finally(() => {
      isDone = true
    })
  const stop = new AbortController()
  const given = openGitMirrors(join(dir, 'git')).fetch(second, stop.signal)
  stop.abort(new Error('cancelled'))
  await expect(given).rejects.toThrow('cancelled')
  expect(isDone).toBe(false)
  holder.kill('SIGKILL')
  expect(await fetched).toMatchObject({ message: 'Say two' })
})

test('a commit that is nowhere any more is said as such, and so is a ref that is gone', async () => {
  await makeRepository()
  await using server = await startGitServer(join(dir, 'served'))
  const { request } = await makeMirror(server)
  const mirrors = openGitMirrors(join(dir, 'git'))
  const lost = CommitSha.parse('1'.repeat(40))
  for (const ref of ['refs/heads/main', 'refs/heads/none'])
    await expect(mirrors.fetch({ ...request, ref, commit: lost }, forever)).rejects.toMatchObject({
      kind: 'source-unavailable',
      message: `Commit ${lost} is not in the repository, nor in ${ref}: it may have been replaced by a forced push`,
    })
})

test('only the wanted commit is fetched, and then only what differs from it', async () => {
  await makeRepository()
  await writeFile(join(dir, 'work', 'large'), randomBytes(1_000_000))
  const shas = [await commit('one'), await commit('two')]
  await using server = await startGitServer(join(dir, 'served'))
  const mirrors = openGitMirrors(join(dir, 'git'))
  const request = { project, repository: `${server.url}/web.git`, ref: 'refs/heads/main' }
  const sizes: number[] = []
  for (const sha of [shas[1], await commit('three')]) {
    const before = server.sentBytes
    const { repositoryDir } = await mirrors.fetch({ ...request, commit: CommitSha.parse(sha) }, forever)
    sizes.push(server.sentBytes - before)
    await expect(fileAt(repositoryDir, shas[0] ?? '')).rejects.toThrow('exited with code 128')
  }
  expect(sizes[0]).toBeGreaterThan(1_000_000)
  expect(sizes[1]).toBeLessThan(10_000)
})

test('a fetch that brings too much is ended', async () => {
  await makeRepository()
  await writeFile(join(dir, 'work', 'large'), randomBytes(3_000_000))
  const sha = await commit('large')
  await using server = await startGitServer(join(dir, 'served'), null, { bytesPerSecond: 1_000_000 })
  const mirrors = openGitMirrors(join(dir, 'git'), 100_000)
  const request = { project, repository: `${server.url}/web.git`, ref: 'refs/heads/main', commit: sha }
  await expect(mirrors.fetch(request, forever)).rejects.toMatchObject({
    kind: 'source-unavailable',
    message: expect.stringContaining('more than 100000 bytes'),
  })
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
