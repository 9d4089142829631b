import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startApi, type TestApi } from '../support/api.ts'
import { spoiltBodies } from '../support/spoilt-bodies.ts'
import { HOOK_SECRET, hookRequest, projectFor, readHooks } from '../support/webhooks.ts'

let api: TestApi
beforeAll(async () => {
  api = await startApi()
})
afterAll(() => api?.[Symbol.asyncDispose]())

const hooks = readHooks()
let asked = 0
/** Of many senders, so that none is turned away for what it sent before. */
const address = () => `10.${(asked >> 14) & 127}.${(asked >> 7) & 127}.${asked++ & 127}`
const send = (request: ReturnType<typeof hookRequest>) => api.app.inject({ ...request, remoteAddress: address() })

const SAMPLES = [
  'github-push',
  'github-pull-request-fork',
  'github-package',
  'gitea-push',
  'forgejo-delete',
  'gogs-push',
  'gitlab-push',
  'gitlab-merge-request',
  'bitbucket-push-multi',
  'bitbucket-server-push',
  'bitbucket-server-pull-request',
  'registry-push-v1',
  'dockerhub-push',
  'generic-push',
]

test.for(SAMPLES)(
  '%s with any field spoilt is answered, and never by a fault of ours',
  { timeout: 60_000 },
  async (name) => {
    const hook = hooks.find((one) => one.name === name)
    if (!hook) throw new Error(`No fixture ${name}`)
    const project = await projectFor(api, hook, `spoilt/${name}`)
    for (const { body, what } of spoiltBodies(hook.body, { maxDepth: 3, values: [null, 'x', [{}]] })) {
      const response = await send(hookRequest(hook, body, project))
      expect(response.statusCode, what).toBeLessThan(500)
      expect(response.statusCode, what).toBeGreaterThanOrEqual(200)
      expect(response.statusCode, what).not.toBe(401)
    }
  },
)

test.for([...new Set(hooks.map(({ provider }) => provider))])('%s: bodies that are no objects', async (provider) => {
  const hook = hooks.find((one) => one.provider === provider && one.expect.status === 202)
  if (!hook) throw new Error(`No fixture of ${provider}`)
  const project = await projectFor(api, hook, `shapes/${provider}`)
  const deep = `${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`
  const texts = ['{', 'null', '1', '[]', '"\\ud800"', '\ufeff{}', '['.repeat(100_000), deep]
  const twice = JSON.stringify(hook.body).replace('{', '{"ref":"refs/heads/main","ref":7,"__proto__":{"ref":1},')
  for (const text of [...texts, twice]) {
    const response = await send(hookRequest(hook, text, project))
    expect(response.statusCode, text.slice(0, 40)).toBeLessThan(500)
  }
  const large = hookRequest(hook, 'x'.repeat(6 * 1024 * 1024), project)
  expect((await send(large)).statusCode).toBe(413)
  expect((await api.call('GET', '/healthz')).status).toBe(200)
})

test.for(hooks.filter(({ expect: { builds } }) => builds).map((hook) => [hook.name, hook] as const))(
  'twenty of %s at once make one build',
  async ([, hook]) => {
    const project = await projectFor(api, hook, `at-once/${hook.name}`)
    const request = hookRequest(hook, hook.body, project, 'one-id')
    const responses = await Promise.all(Array.from({ length: 20 }, () => send(request)))
    expect(responses.every(({ statusCode }) => statusCode < 300)).toBe(true)
    const { items } = (await api.call('GET', `/api/v1/projects/${project}/builds`)).body
    expect(items).toHaveLength(hook.expect.builds?.length ?? 0)
    const changed = await send(hookRequest(hook, { ...hook.body, more: 1 }, project, 'one-id'))
    expect(changed.statusCode).toBe(409)
  },
)

const SIGNING = 'whsec_dGVzdHRlc3R0ZXN0dGVzdHRlc3R0ZXN0dGVzdHRlc3Q='
test.for<[string, string, (body: string) => Record<string, string>, number]>([
  ['a bearer token', 'plain', () => ({ authorization: `Bearer ${HOOK_SECRET}` }), 202],
  ['a wrong bearer token', 'plain', () => ({ authorization: `Bearer ${HOOK_SECRET}x` }), 401],
  ['a signature', 'signed', (body) => standard(body, Date.now()), 202],
  ['a signature of six minutes ago', 'signed', (body) => standard(body, Date.now() - 360_000), 401],
  ['a signature of another body', 'signed', () => standard('{}', Date.now()), 401],
  ['a bearer token, where signatures are asked for', 'signed', () => ({ authorization: `Bearer ${HOOK_SECRET}` }), 401],
  ['nothing', 'plain', () => ({}), 401],
])('whoever sends the generic form with %s', async ([, kind, headersOf, status]) => {
  const project = `generic/${kind}`
  await api.call('PUT', `/api/v1/projects/${project}`, {
    webhookSecret: HOOK_SECRET,
    ...(kind === 'signed' ? { webhookSigningToken: SIGNING } : {}),
  })
  const payload = JSON.stringify({ ref: 'refs/heads/main', commit: 'b'.repeat(40) })
  const headers = { 'content-type': 'application/json', ...headersOf(payload) }
  const response = await api.app.inject({ method: 'POST', url: `/hooks/${project}`, payload, headers })
  expect(response.statusCode, response.body).toBe(status)
})

function standard(body: string, atMs: number): Record<string, string> {
  const id = `msg_${atMs}`
  return {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(atMs / 1000)),
    'webhook-signature': new Webhook(SIGNING).sign(id, new Date(atMs), body),
  }
}

test('Gitea signs the JSON of a form', async () => {
  const hook = hooks.find(({ name }) => name === 'gitea-push')
  if (!hook) throw new Error('No fixture gitea-push')
  const project = await projectFor(api, hook, 'forms/gitea')
  const json = JSON.stringify(hook.body)
  const request = hookRequest(hook, json, project)
  const headers = { ...request.headers, 'content-type': 'application/x-www-form-urlencoded' }
  const payload = new URLSearchParams({ payload: json }).toString()
  const response = await send({ ...request, headers, payload })
  expect(response.statusCode, response.body).toBe(202)
  const stored = await api.call('GET', `/api/v1/deliveries/${response.json().deliveryId}`)
  expect(stored.body.body).not.toMatch(/hook.secret.in.clear/)
  expect(stored.body.verdict.kind).toBe('accepted')
  const again = await api.call('POST', `/api/v1/deliveries/${response.json().deliveryId}/redeliver`)
  expect(again.body.verdict.kind).toBe('accepted')
})

test('a good signature of one project is none of another', async () => {
  const hook = hooks.find(({ name }) => name === 'github-push')
  if (!hook) throw new Error('No fixture github-push')
  const own = await projectFor(api, hook, 'secrets/own')
  const other = await projectFor(api, hook, 'secrets/other')
  await api.call('PATCH', `/api/v1/projects/${other}`, { webhookSecret: 'another secret' })
  expect((await send(hookRequest(hook, hook.body, own))).statusCode).toBe(202)
  expect((await send(hookRequest(hook, hook.body, other))).statusCode).toBe(401)
})

test('a packed body is not unpacked', async () => {
  const hook = hooks.find(({ name }) => name === 'github-push')
  if (!hook) throw new Error('No fixture github-push')
  const project = await projectFor(api, hook, 'packed/github')
  const request = hookRequest(hook, '\u001f\u008b bomb', project)
  const response = await send({ ...request, headers: { ...request.headers, 'content-encoding': 'gzip' } })
  expect(response.statusCode).toBe(400)
})

test('what the hooks take is documented', () => {
  const { paths } = api.app.swagger() as {
    paths: Record<string, { post: { requestBody: object; description: string } }>
  }
  const hook = paths['/hooks/{ns}/{name}']?.post
  expect(hook?.description).toContain('X-Hub-Signature-256')
  expect(JSON.stringify(hook?.requestBody)).toMatch(/changedPaths.*Every path that the push changed/)
  expect(JSON.stringify(paths['/hooks/{ns}/{name}/trigger/{token}']?.post.requestBody)).toContain('docker_tag')
})
