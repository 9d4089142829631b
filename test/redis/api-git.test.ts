import { access, mkdir, mkdtempDisposable, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { BuildEvent } from '#domain/build-event'
import { BuildId, ProjectName, StepId, WorkerId } from '#domain/ids'
import { exited, run, spawn } from '#host/exec'
import { acceptMissedPushes } from '../../api/git/missed-pushes.ts'
import { ADMIN_TOKEN, startApi, type TestApi } from '../support/api.ts'

let api: TestApi
let port: number

beforeAll(async () => {
  api = await startApi()
  port = await api.listen()
})
afterAll(() => api?.[Symbol.asyncDispose]())

const url = (project: string, token = ADMIN_TOKEN) => `http://check:${token}@127.0.0.1:${port}/git/${project}.git`
const env = {
  PATH: '/usr/bin:/bin',
  HOME: '/nonexistent',
  GIT_TERMINAL_PROMPT: '0',
  GIT_AUTHOR_NAME: 'Ada',
  GIT_AUTHOR_EMAIL: 'ada@example.com',
  GIT_COMMITTER_NAME: 'Ada',
  GIT_COMMITTER_EMAIL: 'ada@example.com',
}
const git = (dir: string, ...args: string[]) => run('git', ['-C', dir, ...args], { env })

async function workingCopy(branch = 'main') {
  const dir = await mkdtempDisposable(join(tmpdir(), 'slip-copy-'))
  await git(dir.path, 'init', '-q', '-b', branch)
  await writeFile(join(dir.path, 'Dockerfile'), 'FROM scratch\n')
  await git(dir.path, 'add', '-A')
  await git(dir.path, 'commit', '-qm', 'One')
  return dir
}
const head = async (dir: string) => (await git(dir, 'rev-parse', 'HEAD')).stdout.toString().trim()
const builds = async (project: string) => (await api.call('GET', `/api/v1/projects/${project}/builds`)).body.items

/** Plays the worker: claims the next build of the project and reports what happens to it. */
async function reportBuild(project: string, events: BuildEvent[]): Promise<void> {
  const worker = WorkerId.parse('wrk_testtesttest')
  const signal = AbortSignal.timeout(20_000)
  for await (const build of api.store.builds.watch(signal)) {
    if (build.project !== project || build.status !== 'queued') continue
    const claim = await api.store.builds.claim(build.id, worker, 60_000, Date.now())
    if (!claim) continue
    await api.store.builds.append(claim, events)
    return
  }
}

const step = StepId.parse('stp_00000001')
const succeeding: BuildEvent[] = [
  { kind: 'planned', atMs: 1, steps: [{ id: step, stage: 'main', title: 'RUN make\nit', line: 2 }] },
  { kind: 'step-started', atMs: 1, step, missReason: null },
  {
    kind: 'log',
    atMs: 1,
    step,
    stream: 'stdout',
    firstLine: 1,
    text: 'hello \u001b[31mred\u001b[0m\n\u001b]0;title\u0007next\n',
  },
  { kind: 'step-finished', atMs: 1, step, status: 'succeeded', cached: false, exitCode: 0 },
  { kind: 'finished', atMs: Date.now(), status: 'succeeded', error: null },
]

test.for<[string, string, number]>([
  ['anonymous', '', 401],
  ['wrong token', 'Basic eDp3cm9uZw==', 401],
])('%s may not push', async ([, authorization, status]) => {
  for (const service of ['git-upload-pack', 'git-receive-pack']) {
    const response = await fetch(`http://127.0.0.1:${port}/git/check/web.git/info/refs?service=${service}`, {
      headers: authorization ? { authorization } : {},
    })
    expect(response.status).toBe(status)
    expect(response.headers.get('www-authenticate')).toMatch(/^Basic realm="Slipway"/)
  }
})

test('a first push makes the project and its build, and shows the log', async () => {
  await using copy = await workingCopy('trunk')
  const reported = reportBuild('check/web', succeeding)
  const { stderr } = await git(copy.path, 'push', url('check/web'), 'trunk')
  await reported
  for (const line of ['[build 1] RUN make it', '[build 1]   hello red', '[build 1]   next', `/builds/bld_`])
    expect(stderr).toContain(line)
  expect(stderr).toMatch(/remote: \[build 1\] succeeded in/)
  // oxlint-disable-next-line no-control-regex
  expect(stderr.replaceAll('\u001b[K', '')).not.toMatch(/\u001b/)
  const commit = (await git(copy.path, 'rev-parse', 'HEAD')).stdout.toString().trim()
  expect(await builds('check/web')).toMatchObject([
    { number: 1, ref: 'refs/heads/trunk', commit, message: 'One', author: 'Ada', tags: ['latest', commit] },
  ])
  expect((await api.call('GET', '/api/v1/projects/check/web')).body).toMatchObject({
    defaultBranch: 'trunk',
    repository: null,
  })
  expect((await api.call('GET', '/api/v1/deliveries')).body.items[0]).toMatchObject({
    provider: 'git',
    project: 'check/web',
    verdict: { kind: 'accepted' },
  })
  await using clone = await mkdtempDisposable(join(tmpdir(), 'slip-clone-'))
  await run('git', ['clone', '-q', url('check/web'), clone.path], { env })
  expect(await readFile(join(clone.path, 'Dockerfile'), 'utf8')).toBe('FROM scratch\n')
})

test('the log reaches the pusher while the build runs', async () => {
  await using copy = await workingCopy()
  const reported = reportBuild('check/live', succeeding.slice(0, 3))
  const push = spawn('git', ['-C', copy.path, 'push', url('check/live'), 'main'], { env })
  let said = ''
  for await (const chunk of push.stderr!.iterator({ destroyOnReturn: false })) {
    said += String(chunk)
    if (said.includes('hello red')) break
  }
  push.stderr!.resume()
  await reported
  const [build] = await builds('check/live')
  expect(build.status).toBe('running')
  expect(push.exitCode).toBeNull()
  await api.store.builds.cancel(build.id, 'enough', Date.now())
  push.kill('SIGKILL')
})

test('a server that stops lets the pusher go, and the build on', async () => {
  await using other = await startApi()
  const otherPort = await other.listen()
  await using copy = await workingCopy()
  const to = `http://check:${ADMIN_TOKEN}@127.0.0.1:${otherPort}/git/check/stop.git`
  const push = spawn('git', ['-C', copy.path, 'push', to, 'main'], { env })
  let said = ''
  push.stderr!.on('data', (chunk) => (said += String(chunk)))
  await expect.poll(() => said, { timeout: 5000 }).toContain('queued')
  const ended = exited(push)
  await other.app.close()
  expect(await ended).toEqual({ code: 0, signal: null })
  expect(said).toMatch(/goes on: http/)
  expect((await other.store.builds.queued()).map(({ project }) => project)).toEqual(['check/stop'])
})

test('a project whose source is elsewhere takes no pushes, and says where', async () => {
  await api.call('POST', '/api/v1/projects', { name: 'check/mirror', repository: 'https://git.example/a/b.git' })
  await using copy = await workingCopy()
  await expect(git(copy.path, 'push', url('check/mirror'), 'main')).rejects.toThrow(
    /https:\/\/git\.example\/a\/b\.git: push there/,
  )
})

test('a push that the API missed is built when it is back', async () => {
  await using other = await startApi()
  const otherPort = await other.listen()
  await using copy = await workingCopy()
  const to = `http://check:${ADMIN_TOKEN}@127.0.0.1:${otherPort}/git/check/missed.git`
  // The hook finds nobody at the socket, as when the API is killed while git works.
  await rm(join(other.dataDir, 'run', 'push.sock'))
  const { stderr } = await git(copy.path, 'push', to, 'main')
  expect(stderr).toMatch(/will be built when Slipway is back/)
  expect(await other.store.builds.queued()).toEqual([])
  const stopping = new AbortController()
  const accepted = acceptMissedPushes(other.deps, stopping.signal)
  await expect.poll(async () => (await other.store.builds.queued()).length).toBe(1)
  await expect
    .poll(async () => (await readdir(join(other.dataDir, 'git/repos/check/missed.git'))).join())
    .not.toMatch(/missed-/)
  stopping.abort()
  await accepted
  expect(await other.store.projects.get(ProjectName.parse('check/missed'))).toMatchObject({ defaultBranch: 'main' })
})

test('nowait returns at once', async () => {
  await using copy = await workingCopy()
  const { stderr } = await git(copy.path, 'push', '-o', 'nowait', url('check/quick'), 'main')
  expect(stderr).toMatch(/\[build 1\] queued: http:/)
  expect(await builds('check/quick')).toMatchObject([{ status: 'queued' }])
})

test('tags build, deletions and rule-less branches do not', async () => {
  await using copy = await workingCopy()
  await git(copy.path, 'push', '-o', 'nowait', url('check/refs'), 'main')
  await git(copy.path, 'tag', '-am', 'release', 'v1.5')
  await git(copy.path, 'push', '-o', 'nowait', url('check/refs'), 'v1.5', 'main:side')
  const listed = await builds('check/refs')
  expect(listed).toHaveLength(2)
  expect(listed[0]).toMatchObject({ ref: 'refs/tags/v1.5', tags: ['1.5'], commit: listed[1].commit })
  const { stderr } = await git(copy.path, 'push', url('check/refs'), '--delete', 'side', 'v1.5', 'main')
  expect(stderr).toMatch(/was deleted/)
  expect(await builds('check/refs')).toHaveLength(2)
})

test('a pusher who leaves does not stop the build', async () => {
  await using copy = await workingCopy()
  const push = spawn('git', ['-C', copy.path, 'push', url('check/left'), 'main'], { env })
  for await (const build of api.store.builds.watch(AbortSignal.timeout(20_000)))
    if (build.project === 'check/left') break
  push.kill('SIGKILL')
  await exited(push)
  await expect.poll(() => api.app.inject('/healthz').then((r) => r.statusCode)).toBe(200)
  expect(await builds('check/left')).toMatchObject([{ status: 'queued' }])
  const { stdout } = await run('git', ['ls-remote', url('check/left')], { env })
  expect(stdout.toString()).toMatch(/refs\/heads\/main/)
})

test('a large push arrives whole', async () => {
  await using copy = await workingCopy()
  const bytes = crypto.getRandomValues(new Uint8Array(60_000))
  // More than http.postBuffer, so that git sends it in chunks without a length.
  await writeFile(join(copy.path, 'big'), Buffer.concat(Array.from({ length: 170 }, (_, i) => bytes.map((b) => b ^ i))))
  await git(copy.path, 'add', '-A')
  await git(copy.path, 'commit', '-qm', 'Two')
  await git(copy.path, '-c', 'http.postBuffer=65536', 'push', '-o', 'nowait', url('check/big'), 'main')
  await using clone = await mkdtempDisposable(join(tmpdir(), 'slip-clone-'))
  await run('git', ['clone', '-q', url('check/big'), clone.path], { env })
  const [arrived, sent] = await Promise.all([clone, copy].map(({ path }) => readFile(join(path, 'big'))))
  expect(arrived?.length).toBe(10_200_000)
  expect(sent && arrived?.equals(sent)).toBe(true)
})

test('only our own hooks run', async () => {
  await using copy = await workingCopy()
  await git(copy.path, 'push', '-o', 'nowait', url('check/hooked'), 'main')
  const marker = join(copy.path, 'marker')
  for (const hook of ['pre-receive', 'update', 'post-receive', 'post-update']) {
    const path = join(api.dataDir, 'git', 'repos', 'check', 'hooked.git', 'hooks', hook)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, `#!/bin/sh\ntouch ${marker}\n`, { mode: 0o755 })
  }
  const { stderr } = await git(copy.path, 'push', '-o', 'nowait', url('check/hooked'), 'main:refs/heads/side')
  expect(stderr).toMatch(/refs\/heads\/side: no build/)
  await expect(access(marker)).rejects.toThrow(/ENOENT/)
})

test('a broken object is refused', async () => {
  await using copy = await workingCopy()
  const broken = 'tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor nobody\n\nx\n'
  const child = spawn('git', ['-C', copy.path, 'hash-object', '-t', 'commit', '-w', '--literally', '--stdin'], {
    env,
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  child.stdin?.end(broken)
  const sha = (await text(child.stdout!)).trim()
  await expect(git(copy.path, 'push', url('check/broken'), `${sha}:refs/heads/main`)).rejects.toThrow(
    /fsck|missing|invalid/i,
  )
})

test('a registry token cannot push', async () => {
  await using copy = await workingCopy()
  const token = await api.store.tokens.issue(
    { kind: 'registry', repository: '*', actions: ['pull', 'push'] },
    'x',
    60_000,
  )
  await expect(git(copy.path, 'push', url('check/denied', token), 'main')).rejects.toThrow(/403|registry only/)
  expect((await api.call('GET', '/api/v1/projects/check/denied')).status).toBe(404)
})

test('a manual build takes a branch, a tag or a commit', async () => {
  await using copy = await workingCopy()
  await git(copy.path, 'push', '-o', 'nowait', url('check/manual'), 'main')
  const commit = (await git(copy.path, 'rev-parse', 'HEAD')).stdout.toString().trim()
  const post = (body: object) => api.call('POST', '/api/v1/projects/check/manual/builds', body)
  for (const ref of ['main', 'refs/heads/main'])
    expect(await post({ ref, noCache: true, target: 'x' })).toMatchObject({
      status: 201,
      body: {
        ref: 'refs/heads/main',
        commit,
        rule: 0,
        useCache: false,
        target: 'x',
        trigger: 'manual',
        message: 'One',
      },
    })
  expect(await post({})).toMatchObject({ status: 201, body: { ref: 'refs/heads/main' } })
  expect(await post({ ref: commit })).toMatchObject({ status: 201, body: { ref: commit, rule: null, tags: [commit] } })
  for (const ref of ['none', '--upload-pack=id', '$(id)', 'a..b', '../x'])
    expect((await post({ ref })).status).toBeGreaterThanOrEqual(400)
  expect((await post({ ref: 'none' })).status).toBe(404)
})

test('a running build is told to the end, then cancel and retry answer', async () => {
  await using copy = await workingCopy()
  await git(copy.path, 'push', '-o', 'nowait', url('check/cancel'), 'main')
  const [build] = await builds('check/cancel')
  expect(await api.call('POST', `/api/v1/builds/${build.id}/retry`)).toMatchObject({ status: 409 })
  expect(await api.call('POST', `/api/v1/builds/${build.id}/cancel`)).toMatchObject({
    status: 200,
    body: { status: 'cancelled' },
  })
  expect(await api.call('POST', `/api/v1/builds/${build.id}/cancel`)).toMatchObject({ status: 200 })
  const retried = await api.call('POST', `/api/v1/builds/${BuildId.parse(build.id)}/retry`)
  expect(retried).toMatchObject({
    status: 201,
    body: { number: 2, trigger: 'retry', commit: build.commit, status: 'queued' },
  })
})

test('two hundred tags at once are as many builds, told in a few lines', async () => {
  await using copy = await workingCopy()
  await git(copy.path, 'push', '-o', 'nowait', url('check/many'), 'main')
  const tags = Array.from({ length: 200 }, (_, index) => `v1.0.${index}`)
  for (const tag of tags) await writeFile(join(copy.path, '.git', 'refs', 'tags', tag), await head(copy.path))
  const startedAtMs = performance.now()
  const { stderr } = await git(copy.path, 'push', url('check/many'), '--tags')
  expect(performance.now() - startedAtMs).toBeLessThan(20_000)
  const remote = stderr.split('\n').filter((line) => line.startsWith('remote:'))
  expect(remote.length).toBeLessThan(20)
  expect(stderr).toMatch(/remote: 200 builds queued, from build 2 to build 201: http\S+\/projects\/check\/many/)
  const queued = (await api.store.builds.queued()).filter((build) => build.project === 'check/many')
  expect(queued.flatMap((build) => (build.ref.startsWith('refs/tags/') ? build.tags : [])).sort()).toEqual(
    tags.map((tag) => tag.slice(1)).sort(),
  )
})

test('many refs that no rule wants are told in a few lines', async () => {
  await using copy = await workingCopy()
  await git(copy.path, 'push', '-o', 'nowait', url('check/side'), 'main')
  const refs = Array.from({ length: 30 }, (_, index) => `main:refs/heads/side-${String(index).padStart(2, '0')}`)
  const { stderr } = await git(copy.path, 'push', url('check/side'), ...refs)
  expect(stderr).toMatch(/remote: refs\/heads\/side-00: no build \(.*side-00.*\)/)
  expect(stderr).toMatch(/remote: and 2\d refs more: no build/)
  expect(stderr.split('\n').filter((line) => line.startsWith('remote:')).length).toBeLessThan(15)
  expect(await builds('check/side')).toHaveLength(1)
})

test('a push that the rules do not want says why, and ends', async () => {
  await using copy = await workingCopy()
  await git(copy.path, 'push', '-o', 'nowait', url('check/unwanted'), 'main')
  await api.call('PATCH', '/api/v1/projects/check/unwanted', {
    rules: [{ source: 'branch', pattern: 'release/*', tags: ['latest'] }],
  })
  await git(copy.path, 'commit', '-q', '--allow-empty', '-m', 'Two')
  const { stderr } = await git(copy.path, 'push', url('check/unwanted'), 'main')
  expect(stderr).toMatch(/remote: refs\/heads\/main: no build \(.*release\/\*.*\)/)
  expect(await builds('check/unwanted')).toHaveLength(1)
})

test('a forced push builds what it brings; what it took away can still be built', async () => {
  await using copy = await workingCopy()
  await git(copy.path, 'push', '-o', 'nowait', url('check/force'), 'main')
  const first = await head(copy.path)
  await git(copy.path, 'commit', '-q', '--amend', '-m', 'Other')
  await expect(git(copy.path, 'push', url('check/force'), 'main')).rejects.toThrow(
    /tip of your current branch is behind/,
  )
  const { stderr } = await git(copy.path, 'push', '-o', 'nowait', '--force', url('check/force'), 'main')
  expect(stderr).toMatch(/forced update/)
  expect(stderr).toMatch(/remote: \[build 2\] queued/)
  const [second, before] = await builds('check/force')
  expect([second.commit, before.commit]).toEqual([await head(copy.path), first])
  const retried = await api.call('POST', '/api/v1/projects/check/force/builds', { ref: first })
  expect(retried).toMatchObject({ status: 201, body: { commit: first } })
})

test('pushes that break off leave nothing, and hold nobody up', async () => {
  await using copy = await workingCopy()
  await git(copy.path, 'push', '-o', 'nowait', url('check/broken-off'), 'main')
  const sha = await head(copy.path)
  const line = `${'0'.repeat(40)} ${sha} refs/heads/other\0report-status\n`
  const command = `${(line.length + 4).toString(16).padStart(4, '0')}${line}0000PACK\0\0\0\u0002`
  const breakOff = async () => {
    const call = request({
      host: '127.0.0.1',
      port,
      method: 'POST',
      path: '/git/check/broken-off.git/git-receive-pack',
      headers: { 'content-type': 'application/x-git-receive-pack-request', 'content-length': 1_000_000 },
      auth: `check:${ADMIN_TOKEN}`,
    })
    call.on('error', () => {})
    const gone = new Promise((resolve) => call.once('close', resolve))
    call.write(command)
    await new Promise((resolve) => setTimeout(resolve, 30))
    call.destroy()
    await gone
  }
  for (let round = 0; round < 2; round++) await Promise.all(Array.from({ length: 6 }, breakOff))
  const dir = join(api.dataDir, 'git/repos/check/broken-off.git')
  await expect.poll(async () => (await readdir(join(dir, 'objects'))).join()).not.toMatch(/incoming|tmp/)
  await expect.poll(() => backendsOf('check/broken-off'), { timeout: 10_000 }).toEqual([])
  const { stderr } = await git(copy.path, 'push', '-o', 'nowait', url('check/broken-off'), 'main:refs/heads/next')
  expect(stderr).toMatch(/refs\/heads\/next: no build/)
  const { stdout } = await run('git', ['ls-remote', url('check/broken-off')], { env })
  expect(stdout.toString()).not.toMatch(/refs\/heads\/other/)
  expect(await builds('check/broken-off')).toHaveLength(1)
})

/** Git's programs that work on the repository. */
async function backendsOf(project: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const found = pids.map(async (pid) => {
    const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')
    return environment.includes(`PATH_INFO=/${project}.git/`) && environment.includes(api.dataDir) ? [pid] : []
  })
  return (await Promise.all(found)).flat()
}
