import { mkdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { BuildEvent } from '#domain/build-event'
import { type BuildId, ProjectName, StepId, WorkerId } from '#domain/ids'
import { adoptAdminToken } from '../../api/admin-token.ts'
import { orderOf } from '../core/store/orders.ts'
import { ADMIN_TOKEN, startApi, type TestApi } from '../support/api.ts'

let api: TestApi
let port: number
const project = ProjectName.parse('acme/web')

beforeAll(async () => {
  api = await startApi()
  port = await api.listen()
  await api.call('POST', '/api/v1/projects', { name: project })
})
afterAll(() => api?.[Symbol.asyncDispose]())

async function queueBuild(name = project) {
  const [build] = await api.store.builds.enqueue([orderOf(name)], Date.now())
  return build!
}

const step = StepId.parse('stp_00000001')
const log = (firstLine: number, text: string): BuildEvent => ({
  kind: 'log',
  atMs: 1,
  step,
  stream: 'stdout',
  firstLine,
  text,
})
const finished: BuildEvent = { kind: 'finished', atMs: 2, status: 'succeeded', error: null }

async function claimed(id: BuildId) {
  const claim = await api.store.builds.claim(id, WorkerId.parse('wrk_testtesttest'), 60_000, Date.now())
  if (!claim) throw new Error('the build was not claimed')
  return { append: (...events: BuildEvent[]) => api.store.builds.append(claim, events) }
}

const bearer = { authorization: `Bearer ${ADMIN_TOKEN}` }
const get = (path: string, headers: Record<string, string> = bearer) =>
  fetch(`http://127.0.0.1:${port}${path}`, { headers, signal: AbortSignal.timeout(10_000) })

/** The frames of an event stream, as they arrive. */
async function* frames(response: Response) {
  let rest = ''
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + chunk).split('\n\n')
    rest = parts.pop() ?? ''
    for (const part of parts) {
      const fields = Object.fromEntries(part.split('\n').map((line) => line.split(/: (.*)/s).slice(0, 2)))
      if (fields.data) yield { id: fields.id, event: fields.event, data: JSON.parse(fields.data) }
    }
  }
}

test('every path of the API refuses strangers', async () => {
  const { paths } = api.app.swagger() as { paths: Record<string, Record<string, unknown>> }
  const open = ['GET /api/v1/session', 'POST /api/v1/session']
  const registryToken = await api.store.tokens.issue(
    { kind: 'registry', repository: '*', actions: ['pull'] },
    'x',
    60_000,
  )
  let asked = 0
  for (const [path, methods] of Object.entries(paths).filter(([path]) => path.startsWith('/api/'))) {
    for (const method of Object.keys(methods).map((name) => name.toUpperCase())) {
      if (open.includes(`${method} ${path}`)) continue
      const url = path.replaceAll('{ns}', 'acme').replaceAll('{name}', 'web').replaceAll('{id}', 'bld_00000000')
      const ask = (headers: Record<string, string>) => api.app.inject({ method: method as 'GET', url, headers })
      const title = `${method} ${path}`
      expect((await ask({})).statusCode, title).toBe(401)
      expect((await ask({ authorization: 'Bearer wrong' })).statusCode, title).toBe(401)
      expect((await ask({ cookie: 'slipway_session=wrong' })).statusCode, title).toBe(401)
      expect((await ask({ authorization: `Bearer ${registryToken}` })).statusCode, title).toBe(403)
      asked++
    }
  }
  expect(asked).toBeGreaterThan(20)
})

test('projects are made, changed, shown without secrets, and removed', async () => {
  const secrets = { webhookSecret: 'very secret thing', webhookSigningToken: `whsec_${'a'.repeat(44)}` }
  const made = await api.call('POST', '/api/v1/projects', {
    name: 'acme/crud',
    repository: 'git@host.example:acme/crud.git',
    ...secrets,
  })
  expect(made).toMatchObject({
    status: 201,
    body: { name: 'acme/crud', webhookSecretSet: true, rules: [{ pattern: 'main' }, { source: 'tag' }] },
  })
  expect((await api.call('POST', '/api/v1/projects', { name: 'acme/crud' })).status).toBe(409)
  const path = '/api/v1/projects/acme/crud'
  const changed = await api.call('PATCH', path, { defaultBranch: 'trunk' })
  expect(changed.body).toMatchObject({
    defaultBranch: 'trunk',
    repository: 'git@host.example:acme/crud.git',
    webhookSecretSet: true,
  })
  const rules = changed.body.rules.map((rule: object) => ({
    ...rule,
    deploy: [{ deployment: 'web', container: 'web' }],
  }))
  expect((await api.call('PATCH', path, { rules })).body.rules[0].deploy).toEqual([
    { namespace: 'default', deployment: 'web', container: 'web' },
  ])
  const replaced = await api.call('PUT', path, { visibility: 'public' })
  expect(replaced).toMatchObject({
    status: 200,
    body: { visibility: 'public', repository: null, defaultBranch: 'main', webhookSecretSet: true },
  })
  expect((await api.call('PATCH', path, { webhookSecret: null })).body.webhookSecretSet).toBe(false)
  const shown = JSON.stringify([
    made,
    changed,
    replaced,
    await api.call('GET', '/api/v1/projects'),
    await api.call('GET', path),
  ])
  for (const secret of Object.values(secrets)) expect(shown).not.toContain(secret)
  expect((await api.call('DELETE', path)).status).toBe(204)
  expect((await api.call('GET', path)).status).toBe(404)
  expect((await api.call('PUT', path, {})).status).toBe(201)
})

test.for<[string, object]>([
  ['a regex that is none', { rules: [{ source: 'branch', pattern: '/(/' }] }],
  ['an unknown placeholder', { rules: [{ source: 'branch', pattern: 'main', tags: ['{nope}'] }] }],
  ['a path outside', { rules: [{ source: 'branch', pattern: 'main', dockerfile: '../x' }] }],
  ['a repository that is a program', { repository: 'ext::sh -c id' }],
  ['a local repository', { repository: 'file:///etc' }],
  ['a short secret', { webhookSecret: 'x' }],
])('%s is refused', async ([, body]) => {
  for (const method of ['PATCH', 'PUT'] as const) {
    const answer = await api.call(method, '/api/v1/projects/acme/web', body)
    expect(answer.status).toBe(400)
    expect(answer.body.error).toMatchObject({ kind: 'invalid', message: expect.any(String) })
  }
})

test('rules can be tried', async () => {
  const simulate = (body: object) => api.call('POST', '/api/v1/projects/acme/web/rules/simulate', body)
  expect((await simulate({ kind: 'branch', ref: 'main' })).body.outcomes).toMatchObject([
    { rule: 0, matches: true, tags: ['latest', '0'.repeat(40)] },
    { rule: 1, matches: false },
  ])
  expect((await simulate({ kind: 'tag', ref: 'refs/tags/v2.0' })).body.outcomes[1]).toMatchObject({
    matches: true,
    tags: ['2.0'],
  })
  expect((await simulate({ kind: 'branch', ref: 'a..b' })).status).toBe(400)
})

test('events are told live, and resumed where a reader stopped', async () => {
  const build = await queueBuild()
  const path = `/api/v1/builds/${build.id}/events`
  const live = frames(await get(path))
  const first = (await live.next()).value!
  expect(first).toMatchObject({ event: 'queued', data: { kind: 'queued' } })
  const worker = await claimed(build.id)
  expect((await live.next()).value!.data).toMatchObject({ kind: 'started' })
  await worker.append(log(1, 'one\n'))
  const second = (await live.next()).value!
  expect(second.data).toMatchObject({ kind: 'log', text: 'one\n' })
  await worker.append(log(2, 'two\n'), finished)
  const rest = await Array.fromAsync(live)
  expect(rest.map(({ event, data }) => (event === 'eof' ? 'eof' : data.kind))).toEqual(['log', 'finished', 'eof'])
  const resumed = await Array.fromAsync(frames(await get(path, { ...bearer, 'last-event-id': second.id })))
  expect(resumed).toEqual(rest)
  expect(await Array.fromAsync(frames(await get(`${path}?lastEventId=${second.id}`)))).toEqual(rest)
  const ended = await Array.fromAsync(frames(await get(`${path}?lastEventId=${rest.at(-2)!.id}`)))
  expect(ended.map(({ event }) => event)).toEqual(['eof'])
  expect((await get(`${path}?lastEventId=x`)).status).toBe(400)
  expect((await get('/api/v1/builds/bld_00000000/events')).status).toBe(404)
})

test('changes of all builds are told', async () => {
  const response = await get('/api/v1/builds/events')
  expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/)
  const changes = frames(response)
  const build = await queueBuild()
  for await (const { data } of changes) if (data.id === build.id && data.status === 'queued') break
})

test('an event stream ends soon after its session does', async () => {
  const session = await api.store.tokens.issue({ kind: 'admin' }, 'session', 60_000)
  const response = await get('/api/v1/builds/events', { cookie: `slipway_session=${session}` })
  expect(response.status).toBe(200)
  await api.store.tokens.revoke(session)
  await Array.fromAsync(frames(response))
})

test('the raw log has ranges, and a plain form', async () => {
  const build = await queueBuild()
  const worker = await claimed(build.id)
  await worker.append(
    log(1, 'a \u001b[1mbold\u001b[0m ünit\n'),
    { ...log(2, 'half'), unfinished: true } as BuildEvent,
    log(2, '<script>\n'),
  )
  const path = `/api/v1/builds/${build.id}/log`
  const running = await get(path)
  await worker.append(finished)
  const whole = 'a \u001b[1mbold\u001b[0m ünit\n<script>\n'
  expect(await running.text()).toBe(whole)
  const all = await get(path)
  expect(await all.text()).toBe(whole)
  expect(Object.fromEntries(all.headers)).toMatchObject({
    'content-type': 'text/plain; charset=utf-8',
    'x-content-type-options': 'nosniff',
    'accept-ranges': 'bytes',
    'content-length': String(Buffer.byteLength(whole)),
    'content-disposition': expect.stringMatching(/^attachment/),
  })
  expect(await (await get(`${path}?plain=1`)).text()).toBe('a bold ünit\n<script>\n')
  const bytes = Buffer.from(whole)
  for (const [range, part, status] of [
    ['bytes=0-3', bytes.subarray(0, 4), 206],
    ['bytes=5-', bytes.subarray(5), 206],
    ['bytes=-9', bytes.subarray(-9), 206],
    ['bytes=0-9999', bytes, 206],
    ['bytes=0-1,3-4', bytes, 200],
    ['bytes=9999-', Buffer.alloc(0), 416],
  ] as const) {
    const response = await get(path, { ...bearer, range })
    expect(response.status, range).toBe(status)
    expect(Buffer.from(await response.arrayBuffer()), range).toEqual(part)
  }
})

test('a session is a cookie that scripts cannot read, and that changes nothing alone', async () => {
  const login = (token: string) => api.app.inject({ method: 'POST', url: '/api/v1/session', payload: { token } })
  expect((await login('wrong')).statusCode).toBe(401)
  const response = await login(ADMIN_TOKEN)
  const [cookie] = response.cookies
  expect(cookie).toMatchObject({ name: 'slipway_session', httpOnly: true, sameSite: 'Lax', path: '/' })
  expect(cookie!.value).not.toBe(ADMIN_TOKEN)
  const ask = (method: 'GET' | 'POST' | 'DELETE', url: string, headers: Record<string, string> = {}) =>
    api.app.inject({
      method,
      url,
      cookies: { slipway_session: cookie!.value },
      headers,
      ...(method === 'POST' ? { payload: { name: 'acme/csrf' } } : {}),
    })
  expect((await ask('GET', '/api/v1/projects')).statusCode).toBe(200)
  expect((await ask('GET', '/api/v1/session')).json()).toEqual({ admin: true })
  expect((await ask('POST', '/api/v1/projects')).statusCode).toBe(403)
  expect((await ask('DELETE', '/api/v1/session')).statusCode).toBe(403)
  expect((await ask('POST', '/api/v1/projects', { 'x-slipway': '1' })).statusCode).toBe(201)
  expect((await ask('DELETE', '/api/v1/session', { 'x-slipway': '1' })).statusCode).toBe(200)
  expect((await ask('GET', '/api/v1/projects')).statusCode).toBe(401)
  expect((await ask('GET', '/api/v1/session')).json()).toEqual({ admin: false })
})

test('lists are pages, newest first', async () => {
  await api.call('POST', '/api/v1/projects', { name: 'acme/pages' })
  for (let i = 0; i < 5; i++) await queueBuild(ProjectName.parse('acme/pages'))
  const numbers: number[] = []
  let cursor: string | null = ''
  while (cursor !== null) {
    const page: { items: { number: number }[]; next: string | null } = (
      await api.call('GET', `/api/v1/projects/acme/pages/builds?limit=2${cursor && `&cursor=${cursor}`}`)
    ).body
    numbers.push(...page.items.map((build) => build.number))
    cursor = page.next
  }
  expect(numbers).toEqual([5, 4, 3, 2, 1])
  expect((await api.call('GET', '/api/v1/builds?status=queued&limit=1')).body.items).toHaveLength(1)
  expect((await api.call('GET', '/api/v1/builds?limit=0')).status).toBe(400)
  expect((await api.call('GET', '/api/v1/queue')).body.items.length).toBeGreaterThanOrEqual(5)
  for (const path of ['workers', 'rollouts', 'deliveries'])
    expect(await api.call('GET', `/api/v1/${path}`)).toMatchObject({ status: 200, body: { items: [] } })
})

test('unknown paths and bad bodies answer JSON', async () => {
  expect(await api.call('GET', '/api/v1/nothing')).toMatchObject({
    status: 404,
    body: { error: { kind: 'not-found' } },
  })
  expect(await api.call('GET', '/api/v1/projects/acme/none')).toMatchObject({ status: 404 })
  const bad = await api.app.inject({
    method: 'POST',
    url: '/api/v1/projects',
    headers: { ...bearer, 'content-type': 'application/json' },
    payload: '{',
  })
  expect(bad.statusCode).toBe(400)
  expect(bad.json().error.kind).toBe('invalid')
})

test('health, readiness, metrics and OpenAPI answer', async () => {
  expect((await api.call('GET', '/healthz')).body).toEqual({ status: 'ok' })
  await mkdir(join(api.dataDir, 'run'), { recursive: true })
  await writeFile(
    join(api.dataDir, 'run', 'children.json'),
    JSON.stringify([{ name: 'worker', pid: 1, state: 'waiting', restarts: 2, lastExit: 'code 1', delayMs: 1000 }]),
  )
  const ready = await api.call('GET', '/readyz')
  expect(ready).toMatchObject({
    status: 503,
    body: {
      status: 'not ready',
      parts: {
        redis: { ready: true },
        registry: { ready: false, reason: expect.stringMatching(/registry\.sock/) },
        workers: { ready: false, reason: expect.stringMatching(/no worker/) },
        cluster: { ready: false },
        'child worker': {
          ready: false,
          reason: expect.stringMatching(/waiting 1 s to start again, 2 restarts, last: code 1/),
        },
      },
    },
  })
  const metrics = await api.app.inject('/metrics')
  expect(metrics.body).toMatch(/slipway_builds\{status="queued"\} \d+/)
  expect(metrics.body).toMatch(
    /slipway_http_request_duration_seconds_count\{method="GET",route="\/healthz",status="200"\}/,
  )
  expect((await api.call('GET', '/openapi.json')).body).toMatchObject({
    openapi: '3.1.0',
    paths: { '/api/v1/builds/{id}': expect.any(Object) },
  })
  const described = JSON.stringify((await api.call('GET', '/openapi.json')).body)
  expect(described).toContain('"warnings":{')
})

test('the dashboard is served under a strict policy', async () => {
  const missing = await get('/')
  expect(await missing.text()).toContain('<div id=')
  expect(missing.headers.get('content-security-policy')).not.toContain('unsafe-inline')
  expect(missing.headers.get('x-frame-options')).toBe('DENY')
  const dist = join(api.dataDir, 'dashboard')
  await mkdir(join(dist, 'assets'), { recursive: true })
  await writeFile(join(dist, 'index.html'), '<div id="root"></div>')
  await writeFile(join(dist, 'assets', 'a-1.js'), 'export {}')
  expect(await (await get('/builds/bld_x', { accept: 'text/html' })).text()).toBe('<div id="root"></div>')
  const asset = await get('/assets/a-1.js')
  expect(asset.headers.get('content-type')).toMatch(/javascript/)
  expect(asset.headers.get('cache-control')).toMatch(/immutable/)
  for (const path of ['/assets/none.js', '/../../etc/passwd', '/..%2f..%2fetc%2fpasswd', '/api/none'])
    expect((await get(path, { accept: 'text/html' })).status, path).toBeGreaterThanOrEqual(
      path.includes('passwd') ? 200 : 404,
    )
  expect(await (await get('/..%2f..%2f..%2fetc%2fpasswd', { accept: '*/*' })).text()).not.toContain('root:')
})

test('the admin token is a private file', async () => {
  await adoptAdminToken(api.store, api.dataDir)
  await adoptAdminToken(api.store, api.dataDir)
  expect((await stat(join(api.dataDir, 'admin-token'))).mode & 0o777).toBe(0o600)
})

test('closing ends open event streams', async () => {
  await using other = await startApi()
  const otherPort = await other.listen()
  const response = await fetch(`http://127.0.0.1:${otherPort}/api/v1/builds/events`, { headers: bearer })
  const before = performance.now()
  await other.app.close()
  await response.text()
  expect(performance.now() - before).toBeLessThan(3000)
})
