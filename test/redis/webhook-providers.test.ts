import { afterAll, beforeAll, expect, test } from 'vitest'
import { ProjectName, WorkerId } from '#domain/ids'
import { newId } from '#host/new-id'
import { orderOf } from '../core/store/orders.ts'
import { startApi, type TestApi } from '../support/api.ts'
import { HOOK_SECRET, hookRequest, projectFor, readHooks } from '../support/webhooks.ts'

let api: TestApi
beforeAll(async () => {
  api = await startApi()
})
afterAll(() => api?.[Symbol.asyncDispose]())

const hooks = readHooks()
const buildsOf = async (project: string) => (await api.call('GET', `/api/v1/projects/${project}/builds`)).body.items
const newest = async (project: string) => (await api.call('GET', `/api/v1/deliveries?project=${project}`)).body.items[0]

/** A build of the branch main that went well. */
async function buildBefore(project: string) {
  const order = orderOf(ProjectName.parse(project))
  const [build] = await api.store.builds.enqueue([order], Date.now())
  const worker = WorkerId.parse(newId('wrk'))
  const claim = await api.store.builds.claim(build!.id, worker, 60_000, Date.now())
  await api.store.builds.append(claim!, [{ kind: 'finished', atMs: Date.now(), status: 'succeeded', error: null }])
}

test.for(hooks.map((hook) => [hook.name, hook] as const))('%s', async ([, hook]) => {
  const project = await projectFor(api, hook)
  if (hook.expect.rebuilds) await buildBefore(project)
  const request = hookRequest(hook, hook.body, project)
  const response = await api.app.inject(request)
  expect(response.statusCode, response.body).toBe(hook.expect.status)
  const delivery = await newest(project)
  expect(delivery).toMatchObject({ provider: hook.provider, verdict: { kind: hook.expect.verdict } })
  if (hook.expect.reason) expect(response.body).toContain(hook.expect.reason)
  const wanted = hook.expect.rebuilds
    ? [{ ...orderOf(ProjectName.parse(project)), id: expect.any(String), trigger: 'base-image', message: null }]
    : (hook.expect.builds ?? [])
  const ids = new Set(response.json().builds.map(({ id }: { id: string }) => id))
  const made = (await buildsOf(project)).filter(({ id }: { id: string }) => ids.has(id)).toReversed()
  expect(made).toMatchObject(wanted)
  expect(made).toHaveLength(wanted.length)
  expect(JSON.stringify(delivery)).not.toContain('hook secret in clear')
  await sendAgain(project, request, ids)
})

/** The provider tries once more, and then a person does. */
async function sendAgain(project: string, request: ReturnType<typeof hookRequest>, ids: Set<unknown>) {
  const before = (await buildsOf(project)).length
  const again = await api.app.inject(request)
  expect(again.statusCode).toBeLessThan(300)
  expect(again.json().builds.map(({ id }: { id: string }) => id)).toEqual([...ids])
  expect(await buildsOf(project)).toHaveLength(before)
  const { id } = await newest(project)
  const redelivered = await api.call('POST', `/api/v1/deliveries/${id}/redeliver`)
  expect(redelivered.status).toBe(201)
  if (ids.size > 0 && redelivered.body.provider !== 'registry') {
    expect(redelivered.body.verdict.builds).toHaveLength(ids.size)
    for (const build of redelivered.body.verdict.builds) expect(ids).not.toContain(build)
  }
}

test.for(hooks.map((hook) => [hook.name, hook] as const))('%s, forged', async ([, hook]) => {
  const project = await projectFor(api, hook, `acme/forged-${hook.name}`)
  const request = hookRequest(hook, hook.body, project)
  const spoilt = Object.entries(request.headers ?? {}).map(([name, value]) => {
    const isProof = /signature|token|authorization/.test(name) && value !== ''
    return [name, isProof ? String(value).replace(/.$/, (last) => (last === '0' ? '1' : '0')) : value]
  })
  for (const headers of [Object.fromEntries(spoilt), hook.headers]) {
    const forged = { ...request, headers: { 'content-type': 'application/json', ...headers } }
    expect((await api.app.inject(forged)).statusCode).toBe(401)
  }
  expect(await buildsOf(project)).toEqual([])
})

test.for(hooks.filter(({ expect: { builds } }) => builds).map((hook) => [hook.name, hook] as const))(
  '%s, sent to a project of another repository',
  async ([, hook]) => {
    const name = `other/${hook.name}`
    const repository = 'https://elsewhere.example/acme/other.git'
    const unnamed = hook.name === 'generic-tag'
    await api.call('POST', '/api/v1/projects', { name, repository, webhookSecret: HOOK_SECRET })
    const response = await api.app.inject(hookRequest(hook, hook.body, name))
    expect(response.statusCode).toBe(unnamed ? 202 : 422)
    if (!unnamed) expect(await buildsOf(name)).toEqual([])
  },
)
