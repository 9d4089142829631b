import { createHash } from 'node:crypto'
import { mkdir, mkdtempDisposable, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { build } from '#buildkit-lite'
import { run } from '#host/exec'
import { startFileServer } from '../support/file-server.ts'
import { startGitServer } from '../support/git-server.ts'
import { writeTar } from '../support/make-files.ts'
import { type BuildBench, openBuildBench } from './build-bench.ts'

let bench: BuildBench

beforeAll(async () => {
  bench = await openBuildBench('remote')
})
afterAll(async () => await bench?.[Symbol.asyncDispose]())

const LAST_MODIFIED = 'Wed, 21 Oct 2015 07:28:00 GMT'
const sha256 = (text: string) => `sha256:${createHash('sha256').update(text).digest('hex')}`

async function openServer(bodies: Record<string, Buffer>) {
  return await startFileServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://h')
    const body = bodies[pathname]
    const etag = body && `"${createHash('sha1').update(body).digest('hex')}"`
    if (!body) response.writeHead(404).end()
    else if (request.headers['if-none-match'] === etag) response.writeHead(304).end()
    else response.writeHead(200, { etag, 'last-modified': LAST_MODIFIED }).end(body)
  })
}

test('ADD downloads files, and unpacks only what it is told to', async () => {
  const archive = gzipSync(writeTar([['in/f', 'file', '0640', 7, 8, 'F']]))
  await using server = await openServer({
    '/f.bin': Buffer.from('hello'),
    '/a.tar.gz': archive,
    '/': Buffer.from('root'),
  })
  const { image } = await bench.buildFiles({
    Dockerfile: `FROM scratch
ADD ${server.origin}/f.bin /x
ADD ${server.origin}/f.bin?q=1 ${server.origin}/ /d/
ADD ${server.origin}/a.tar.gz /t/
ADD --unpack=true ${server.origin}/a.tar.gz /u/
ADD --chmod=755 --chown=5:6 ${server.origin}/f.bin /y`,
  })
  const lines = await Promise.all(
    image.layers.map(async (_, index) => await bench.lastLayer({ ...image, layers: image.layers.slice(0, index + 1) })),
  )
  // Directories that had to be made are of now.
  expect(lines.flat().filter((line) => line.startsWith('d') && line.includes('2015'))).toEqual([])
  const files = lines.flat().filter((line) => line.startsWith('-'))
  expect(files.map((line) => line.split(/\s+/))).toEqual([
    ['-rw-------', '0/0', '5', '2015-10-21', '07:28:00', 'x'],
    ['-rw-------', '0/0', '4', '2015-10-21', '07:28:00', 'd/__unnamed__'],
    ['-rw-------', '0/0', '5', '2015-10-21', '07:28:00', 'd/f.bin'],
    ['-rw-------', '0/0', String(archive.length), '2015-10-21', '07:28:00', 't/a.tar.gz'],
    ['-rw-r-----', '7/8', '1', '2001-09-09', '01:46:40', 'u/in/f'],
    ['-rwxr-xr-x', '5/6', '5', '2015-10-21', '07:28:00', 'y'],
  ])
})

test('a download is asked for by every build, and only new bytes make the step run', async () => {
  const bodies = { '/f': Buffer.from('one') }
  await using server = await openServer(bodies)
  const files = { Dockerfile: `FROM scratch\nADD ${server.origin}/f /f` }
  expect((await bench.buildFiles(files)).ran).toHaveLength(1)
  expect((await bench.buildFiles(files)).ran).toEqual([])
  expect(server.requests).toHaveLength(2)
  bodies['/f'] = Buffer.from('two')
  const changed = await bench.buildFiles(files)
  expect(changed.ran).toHaveLength(1)
  expect(changed.reasons).toEqual(['f changed'])
  expect(await bench.readInside(changed.image, 'f')).toBe('two')
})

test('a checksum makes the answer certain before it is asked for', async () => {
  await using server = await openServer({ '/sure': Buffer.from('sure') })
  const dockerfile = (checksum: string) => ({
    Dockerfile: `FROM scratch\nARG SUM=${checksum}\nADD --checksum=$SUM ${server.origin}/sure /f`,
  })
  await bench.buildFiles(dockerfile(sha256('sure')))
  expect((await bench.buildFiles(dockerfile(sha256('sure')))).ran).toEqual([])
  expect(server.requests).toHaveLength(1)
  await expect(bench.buildFiles(dockerfile(sha256('other')))).rejects.toThrow('digest mismatch')
})

test('what is not there names the address and the status', async () => {
  await using server = await openServer({})
  const built = bench.buildFiles({ Dockerfile: `FROM scratch\nADD ${server.origin}/gone /f` })
  await expect(built).rejects.toMatchObject({ line: 2 })
  await expect(built).rejects.toThrow(`${server.origin}/gone: invalid response status 404`)
})

test('a server that does not answer is none of the author’s mistakes, but stands where it is named', async () => {
  // Nobody listens there: tcpmux is of the eighties.
  const built = bench.buildFiles({ Dockerfile: 'FROM scratch\nADD http://127.0.0.1:1/f /f' })
  await expect(built).rejects.toMatchObject({ kind: 'source-unavailable', line: 2 })
  await expect(built).rejects.toThrow('http://127.0.0.1:1/f cannot be downloaded: connect ECONNREFUSED')
})

test('a token of a secret is sent to its host', async () => {
  await using server = await openServer({ '/f': Buffer.from('x') })
  const { host } = new URL(server.origin)
  const secrets = { [`HTTP_AUTH_TOKEN_${host}`]: Buffer.from('abc') }
  await bench.buildFiles({ Dockerfile: `FROM scratch\nADD ${server.origin}/f /f` }, { secrets })
  expect(server.requests[0]?.headers.authorization).toBe('Bearer abc')
})

test('a Dockerfile that is not trusted reaches nothing of this machine', async () => {
  await using server = await openServer({ '/f': Buffer.from('secret') })
  await using dir = await mkdtempDisposable(join(bench.dataDir, 'context-'))
  await writeFile(join(dir.path, 'Dockerfile'), `FROM scratch\nADD ${server.origin}/f /f`)
  const tools: Omit<Parameters<typeof build>[1], 'report'> = { ...bench.tools }
  delete tools.remote
  const built = bench.buildDirectory(dir.path, {}, tools)
  await expect(built).rejects.toThrow('which builds may not reach')
  await expect(built).rejects.toMatchObject({ kind: 'step-failed', line: 2 })
  expect(server.requests).toEqual([])
})

test('ADD of a repository copies its files, keyed by what they hold', async () => {
  await using dir = await mkdtempDisposable(join(bench.dataDir, 'served-'))
  const repository = join(dir.path, 'r.git')
  await mkdir(join(repository, 'd'), { recursive: true })
  const env = {
    PATH: process.env['PATH'],
    GIT_CONFIG_GLOBAL: '/dev/null',
    HOME: '/nonexistent',
    GIT_COMMITTER_DATE: LAST_MODIFIED,
  }
  const git = async (...args: string[]) =>
    (await run('git', ['-c', 'user.name=a', '-c', 'user.email=a@b', ...args], { cwd: repository, env })).stdout
      .toString()
      .trim()
  await git('init', '-q', '-b', 'main')
  await writeFile(join(repository, 'd/run.sh'), '#!/bin/sh', { mode: 0o777 })
  await writeFile(join(repository, 'f'), 'F', { mode: 0o600 })
  await git('add', '-A')
  await git('commit', '-qm', 'one')
  await using server = await startGitServer(dir.path)
  const files = {
    f: 'local',
    Dockerfile: `FROM scratch
ADD ${server.url}/r.git#main /all
ADD f ${server.url}/r.git?subdir=d <<here /mixed/
inline
here
ADD --keep-git-dir=true ${server.url}/r.git /kept`,
  }
  const { image, ran } = await bench.buildFiles(files)
  expect(ran).toHaveLength(3)
  const lines = await Promise.all(
    image.layers.map(async (_, index) => await bench.lastLayer({ ...image, layers: image.layers.slice(0, index + 1) })),
  )
  const named = (line: string) => [line.split(/\s+/)[0], line.split(/\s+/)[1], line.split(/\s+/).at(-1)]
  expect(lines.slice(0, 2).flat().map(named)).toEqual([
    ['drwxr-xr-x', '0/0', 'all/'],
    ['drwxr-xr-x', '0/0', 'all/d/'],
    ['-rwxr-xr-x', '0/0', 'all/d/run.sh'],
    ['-rw-r--r--', '0/0', 'all/f'],
    ['drwxr-xr-x', '0/0', 'mixed/'],
    ['-rw-r--r--', '0/0', 'mixed/f'],
    ['-rw-r--r--', '0/0', 'mixed/here'],
    ['-rwxr-xr-x', '0/0', 'mixed/run.sh'],
  ])
  expect(await bench.readInside(image, 'kept/.git/HEAD')).toBe(`${await git('rev-parse', 'HEAD')}\n`)
  const dated = { Dockerfile: `FROM scratch\nADD ${server.url}/r.git?mtime=commit /dated` }
  const { image: withTimes } = await bench.buildFiles(dated)
  const times = (await bench.lastLayer(withTimes))
    .filter((line) => line.startsWith('-'))
    .map((line) => line.split(/\s+/)[3])
  expect(times).toEqual(['2015-10-21', '2015-10-21'])
  // Another commit with the same files: only what keeps the repository itself is made again.
  await git('commit', '-q', '--allow-empty', '-m', 'two')
  expect((await bench.buildFiles(files)).ran).toHaveLength(1)
})
