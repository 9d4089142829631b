import { createHmac, randomUUID } from 'node:crypto'
import { Webhooks } from '@octokit/webhooks'
import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { githubPush, githubRequest, githubSignature, startApi, type TestApi } from '../support/api.ts'

const SECRET = 'It is a secret to everybody'
const SIGNING = 'whsec_dGVzdHRlc3R0ZXN0dGVzdHRlc3R0ZXN0dGVzdHRlc3Q='
let api: TestApi

beforeAll(async () => {
  api = await startApi()
  const repository = 'https://github.com/acme/web.git'
  await api.call('POST', '/api/v1/projects', { name: 'acme/web', repository, webhookSecret: SECRET })
  await api.call('POST', '/api/v1/projects', { name: 'acme/open' })
  const gitlab = 'https://gitlab.com/acme/lab.git'
  await api.call('POST', '/api/v1/projects', { name: 'acme/lab', repository: gitlab, webhookSecret: SECRET })
  await api.call('POST', '/api/v1/projects', {
    name: 'acme/signed',
    repository: gitlab,
    webhookSecret: SECRET,
    webhookSigningToken: SIGNING,
  })
})
afterAll(() => api?.[Symbol.asyncDispose]())

const newest = async (project: string) => (await api.call('GET', `/api/v1/deliveries?project=${project}`)).body.items[0]
const builds = async (project: string) => (await api.call('GET', `/api/v1/projects/${project}/builds`)).body.items
const good = githubSignature(SECRET, JSON.stringify(githubPush()))

test.for<[string, string | null, Record<string, string>?]>([
  ['missing', null],
  ['empty', ''],
  ['empty hex', 'sha256='],
  ['wrong', `sha256=${'0'.repeat(64)}`],
  ['truncated', good.slice(0, -1)],
  ['longer', `${good}0`],
  ['upper-case', good.toUpperCase().replace('SHA', 'sha')],
  ['not hex', `sha256=${'z'.repeat(64)}`],
  ['bare hex', good.slice('sha256='.length)],
  [
    'sha1 only',
    null,
    { 'x-hub-signature': `sha1=${createHmac('sha1', SECRET).update(JSON.stringify(githubPush())).digest('hex')}` },
  ],
])('a signature that is %s is refused', async ([, signature, headers]) => {
  const response = await api.app.inject(githubRequest(SECRET, githubPush(), { signature, headers: headers ?? {} }))
  expect(response.statusCode).toBe(401)
  expect(response.json().error.kind).toBe('unauthorized')
  expect(await newest('acme/web')).toMatchObject({
    id: response.json().deliveryId,
    verdict: { kind: 'rejected', status: 401 },
  })
  expect(await builds('acme/web')).toEqual([])
})

test('without a configured secret nothing is trusted', async () => {
  const response = await api.app.inject(githubRequest('', githubPush(), { project: 'acme/open', signature: good }))
  expect(response.statusCode).toBe(401)
  expect(response.json().error.message).toMatch(/no webhook secret/)
})

test('an unknown project is not found', async () => {
  const response = await api.app.inject(githubRequest(SECRET, githubPush(), { project: 'acme/none' }))
  expect(response.statusCode).toBe(404)
})

test('a ping is answered', async () => {
  const response = await api.app.inject(githubRequest(SECRET, { zen: 'x', hook_id: 1 }, { event: 'ping' }))
  expect(response.statusCode).toBe(200)
  expect((await newest('acme/web')).verdict).toEqual({ kind: 'answered', reason: 'ping' })
})

test('a push queues a build, and its redelivery makes no second one', async () => {
  const request = githubRequest(SECRET, githubPush())
  const first = await api.app.inject(request)
  expect(first.statusCode).toBe(202)
  const { deliveryId, builds: made, ignored } = first.json()
  expect(made).toEqual([{ id: expect.stringMatching(/^bld_/), number: 1, url: `${api.baseUrl}/builds/${made[0].id}` }])
  expect(ignored).toEqual([{ rule: 1, reason: expect.stringMatching(/for a tag/) }])
  const again = await api.app.inject(request)
  expect(again.statusCode).toBe(200)
  expect(again.json()).toMatchObject({ duplicateOf: deliveryId, builds: made })
  expect(await builds('acme/web')).toMatchObject([
    {
      number: 1,
      status: 'queued',
      commit: '2'.repeat(40),
      tags: ['latest', '2'.repeat(40)],
      author: 'Ada',
      trigger: 'push',
    },
  ])
  expect(await api.store.deliveries.get(deliveryId)).toMatchObject({
    verdict: { kind: 'accepted', builds: [made[0].id] },
  })
})

test('fifty at once make one build', async () => {
  const before = (await builds('acme/web')).length
  const request = githubRequest(SECRET, githubPush({ after: '3'.repeat(40), head_commit: null }))
  const responses = await Promise.all(Array.from({ length: 50 }, () => api.app.inject(request)))
  const ids = new Set(responses.flatMap((response) => response.json().builds.map(({ id }: { id: string }) => id)))
  expect(responses.map(({ statusCode }) => statusCode).filter((status) => status === 202)).toHaveLength(1)
  expect(responses.every(({ statusCode }) => statusCode === 202 || statusCode === 200)).toBe(true)
  expect(ids.size).toBe(1)
  expect(await builds('acme/web')).toHaveLength(before + 1)
})

test('the same delivery id with another body is refused', async () => {
  const delivery = randomUUID()
  expect((await api.app.inject(githubRequest(SECRET, githubPush(), { delivery }))).statusCode).toBe(202)
  const other = githubRequest(SECRET, githubPush({ after: '4'.repeat(40), head_commit: null }), { delivery })
  expect((await api.app.inject(other)).statusCode).toBe(409)
})

test.for<[string, object, GithubExpectation]>([
  ['a deleted branch', { deleted: true, after: '0'.repeat(40), head_commit: null }, { status: 202, reason: /deleted/ }],
  ['a branch without a rule', { ref: 'refs/heads/other' }, { status: 202, reason: /does not match/ }],
  [
    'a message that skips',
    { head_commit: { id: '5'.repeat(40), message: 'x [skip ci]' } },
    { status: 202, reason: /skip/ },
  ],
  ['another repository', { repository: { clone_url: 'https://github.com/evil/web.git' } }, { status: 422 }],
  ['a hostile ref', { ref: 'refs/heads/../../x' }, { status: 400 }],
  ['a ref with a newline', { ref: 'refs/heads/a\nb' }, { status: 400 }],
  ['no repository', { repository: null }, { status: 400 }],
  ['a commit that is none', { head_commit: { id: '$(id)', message: '' } }, { status: 400 }],
])('%s makes no build', async ([, change, expected]) => {
  const before = (await builds('acme/web')).length
  const response = await api.app.inject(githubRequest(SECRET, githubPush(change)))
  expect(response.statusCode).toBe(expected.status)
  if (expected.reason) expect(JSON.stringify(response.json().ignored)).toMatch(expected.reason)
  expect(await builds('acme/web')).toHaveLength(before)
})
interface GithubExpectation {
  status: number
  reason?: RegExp
}

test('an annotated tag builds the commit, not the tag object', async () => {
  const push = githubPush({
    ref: 'refs/tags/v1.2',
    after: '6'.repeat(40),
    head_commit: { id: '7'.repeat(40), message: '' },
  })
  expect((await api.app.inject(githubRequest(SECRET, push))).statusCode).toBe(202)
  expect((await builds('acme/web'))[0]).toMatchObject({ commit: '7'.repeat(40), tags: ['1.2'], ref: 'refs/tags/v1.2' })
})

test.for<[string, string, number]>([
  ['form', 'application/x-www-form-urlencoded', 202],
  ['type with a tab', 'application/json\ta', 415],
  ['type with garbage', 'application/json garbage', 415],
  ['text', 'text/plain', 415],
])('content type: %s', async ([, type, status]) => {
  const payload = JSON.stringify(githubPush())
  const body = type.includes('form') ? `payload=${encodeURIComponent(payload)}` : payload
  const request = githubRequest(SECRET, body, { headers: { 'content-type': type } })
  expect((await api.app.inject(request)).statusCode).toBe(status)
})

test('a form with two payloads is refused', async () => {
  const form = new URLSearchParams([1, 2].map(() => ['payload', JSON.stringify(githubPush())])).toString()
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  expect((await api.app.inject(githubRequest(SECRET, form, { headers }))).statusCode).toBe(400)
})

test('a body beyond the limit is cut off', async () => {
  const response = await api.app.inject(githubRequest(SECRET, 'x'.repeat(6 * 1024 * 1024)))
  expect(response.statusCode).toBe(413)
})

test('many large bodies without a length are cut off', async () => {
  await using other = await startApi()
  const port = await other.listen()
  const before = process.memoryUsage().rss
  const post = async () => {
    const chunk = new Uint8Array(64 * 1024)
    const body = ReadableStream.from(
      (function* () {
        for (let i = 0; i < 480; i++) yield chunk
      })(),
    )
    const init = {
      method: 'POST',
      body,
      duplex: 'half',
      headers: { 'content-type': 'application/json' },
    } as RequestInit
    // The server may answer and close before all is sent, which a client sees as either.
    return fetch(`http://127.0.0.1:${port}/hooks/acme/web`, init).then(
      (response) => response.status,
      () => 413,
    )
  }
  const statuses = await Promise.all(Array.from({ length: 50 }, post))
  expect(new Set(statuses)).toEqual(new Set([413]))
  expect(process.memoryUsage().rss - before).toBeLessThan(200 * 1024 * 1024)
  expect((await other.call('GET', '/healthz')).status).toBe(200)
})

test('a sender of many forged requests is turned away, others are not', async () => {
  const forged = { ...githubRequest(SECRET, githubPush(), { signature: null }), remoteAddress: '192.0.2.1' }
  const statuses = await Promise.all(
    Array.from({ length: 200 }, () => api.app.inject(forged).then((r) => r.statusCode)),
  )
  expect(statuses.filter((status) => status === 401).length).toBeGreaterThanOrEqual(50)
  const [turnedAway, authentic] = await Promise.all([
    api.app.inject(forged),
    api.app.inject({ ...githubRequest(SECRET, githubPush()), remoteAddress: '192.0.2.2' }),
  ])
  expect(turnedAway.statusCode).toBe(429)
  expect(authentic.statusCode).toBe(202)
})

test('a stored delivery holds no secret', async () => {
  const push = githubPush({ hook: { config: { secret: SECRET } }, token: 'other' })
  const headers = { authorization: 'Bearer hidden', cookie: 'a=hidden' }
  const response = await api.app.inject(githubRequest(SECRET, push, { headers }))
  const stored = JSON.stringify(await api.store.deliveries.get(response.json().deliveryId))
  for (const text of [SECRET, 'other', 'hidden', githubSignature(SECRET, JSON.stringify(push)).slice(7)])
    expect(stored).not.toContain(text)
})

test('a person can run a delivery again', async () => {
  const first = (await api.app.inject(githubRequest(SECRET, githubPush()))).json()
  const again = await api.call('POST', `/api/v1/deliveries/${first.deliveryId}/redeliver`)
  expect(again.status).toBe(201)
  expect(again.body.verdict).toMatchObject({ kind: 'accepted' })
  expect(again.body.verdict.builds).not.toEqual(first.builds.map(({ id }: { id: string }) => id))
  const forged = (await api.app.inject(githubRequest(SECRET, githubPush(), { signature: null }))).json()
  expect((await api.call('POST', `/api/v1/deliveries/${forged.deliveryId}/redeliver`)).status).toBe(409)
})

const labPush = (more: object = {}) => ({
  object_kind: 'push',
  ref: 'refs/heads/main',
  before: '1'.repeat(40),
  after: '2'.repeat(40),
  checkout_sha: '2'.repeat(40),
  user_username: 'ada',
  commits: [{ id: '2'.repeat(40), message: 'Change it', added: [], modified: ['a'], removed: [] }],
  total_commits_count: 1,
  project: {
    git_http_url: 'https://gitlab.com/acme/lab.git',
    git_ssh_url: 'git@gitlab.com:acme/lab.git',
    default_branch: 'main',
  },
  ...more,
})
const postLab = (project: string, payload: object, headers: Record<string, string>) =>
  api.app.inject({
    method: 'POST',
    url: `/hooks/${project}`,
    payload: JSON.stringify(payload),
    headers: {
      'content-type': 'application/json',
      'x-gitlab-event': 'Push Hook',
      'x-gitlab-event-uuid': randomUUID(),
      ...headers,
    },
  })

test.for<[string, Record<string, string>, number]>([
  ['right', { 'x-gitlab-token': SECRET }, 202],
  ['wrong', { 'x-gitlab-token': `${SECRET}x` }, 401],
  ['shorter', { 'x-gitlab-token': SECRET.slice(0, -1) }, 401],
  ['empty', { 'x-gitlab-token': '' }, 401],
  ['missing', {}, 401],
])('GitLab token: %s', async ([, headers, status]) => {
  expect((await postLab('acme/lab', labPush(), headers)).statusCode).toBe(status)
})

test('GitLab builds checkout_sha of an annotated tag', async () => {
  const payload = labPush({
    object_kind: 'tag_push',
    ref: 'refs/tags/v2',
    after: '8'.repeat(40),
    checkout_sha: '9'.repeat(40),
    commits: [],
  })
  const response = await postLab('acme/lab', payload, { 'x-gitlab-token': SECRET, 'x-gitlab-event': 'Tag Push Hook' })
  expect(response.statusCode).toBe(202)
  expect((await builds('acme/lab'))[0]).toMatchObject({ commit: '9'.repeat(40), tags: ['2'] })
})

const signed = (payload: object, atMs: number, id: string = randomUUID()) => ({
  'webhook-id': id,
  'webhook-timestamp': String(Math.floor(atMs / 1000)),
  'webhook-signature': new Webhook(SIGNING).sign(id, new Date(atMs), JSON.stringify(payload)),
})

test.for<[string, () => Record<string, string>, number]>([
  ['good', () => signed(labPush(), Date.now()), 202],
  ['six minutes old', () => signed(labPush(), Date.now() - 360_000), 401],
  ['six minutes early', () => signed(labPush(), Date.now() + 360_000), 401],
  ['of another body', () => signed({ a: 1 }, Date.now()), 401],
  ['missing, with the plain token', () => ({ 'x-gitlab-token': SECRET }), 401],
])('GitLab signature: %s', async ([, headers, status]) => {
  expect((await postLab('acme/signed', labPush(), headers())).statusCode).toBe(status)
})

test('Gitea is not taken for GitHub', async () => {
  const body = JSON.stringify(githubPush())
  const hex = createHmac('sha256', SECRET).update(body).digest('hex')
  const gitea = { 'x-gitea-event': 'push', 'x-gitea-delivery': randomUUID() }
  const unsigned = githubRequest(SECRET, body, { headers: { ...gitea, 'x-gitea-signature': '' } })
  expect((await api.app.inject(unsigned)).statusCode).toBe(401)
  const good = githubRequest(SECRET, body, { headers: { ...gitea, 'x-gitea-signature': hex }, signature: null })
  expect((await api.app.inject(good)).statusCode).toBe(202)
  expect((await newest('acme/web')).provider).toBe('gitea')
})

test('what the reference implementations sign is good', async () => {
  const body = JSON.stringify(githubPush())
  const signature = await new Webhooks({ secret: SECRET }).sign(body)
  expect((await api.app.inject(githubRequest(SECRET, body, { signature }))).statusCode).toBe(202)
})

test('hostile payloads never break the server', async () => {
  const whole = githubPush() as Record<string, unknown>
  const values = [null, 1, [], {}, 'x', { __proto__: null }, Array.from({ length: 10_000 }, () => null)]
  for (const key of Object.keys(whole)) {
    for (const value of [undefined, ...values]) {
      const response = await api.app.inject({
        ...githubRequest(SECRET, { ...whole, [key]: value }),
        remoteAddress: `10.0.0.${1 + Math.floor(Math.random() * 250)}`,
      })
      expect(response.statusCode, `${key} = ${JSON.stringify(value)?.slice(0, 40)}`).toBeLessThan(500)
    }
  }
  for (const text of ['', '\ufeff{}', '{', '['.repeat(100_000), '{"__proto__":{"a":1}}', '"\\ud800"', 'null'])
    expect((await api.app.inject(githubRequest(SECRET, text))).statusCode).toBeLessThan(500)
})
