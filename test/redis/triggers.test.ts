import { createHash } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { run } from '#host/exec'
import { startApi, type TestApi } from '../support/api.ts'

let api: TestApi
let commit: string

beforeAll(async () => {
  api = await startApi()
  await api.call('POST', '/api/v1/projects', {
    name: 'acme/web',
    rules: [
      { source: 'branch', pattern: 'main', tags: ['latest'] },
      { source: 'branch', pattern: 'dev', tags: ['dev'] },
      { source: 'branch', pattern: 'held', tags: ['held'], autobuild: false },
      { source: 'tag', pattern: '/v(.+)/', tags: ['{\\1}'] },
    ],
  })
  // The project's own repository, as a push to it leaves it.
  const dir = `${api.dataDir}/git/repos/acme/web.git`
  await mkdir(dir, { recursive: true })
  const git = async (...args: string[]) => (await run('git', ['-C', dir, ...args])).stdout.toString().trim()
  await git('init', '--quiet', '--bare', '--initial-branch=main')
  const tree = (await run('git', ['-C', dir, 'mktree'], { input: Buffer.alloc(0) })).stdout.toString().trim()
  const author = ['-c', 'user.name=Ada', '-c', 'user.email=ada@example.com']
  commit = await git(...author, 'commit-tree', tree, '-m', 'First [skip ci]')
  for (const ref of ['refs/heads/main', 'refs/heads/dev', 'refs/heads/held', 'refs/tags/v1.0'])
    await git('update-ref', ref, commit)
})
afterAll(() => api?.[Symbol.asyncDispose]())

const path = '/api/v1/projects/acme/web/triggers'
const makeTrigger = async (): Promise<{ id: string; token: string; url: string }> =>
  (await api.call('POST', path, { label: 'cron' })).body
const newest = async () => (await api.call('GET', '/api/v1/deliveries?project=acme/web')).body.items[0]
const pull = (token: string, payload: string, type = 'application/json', slash = '') =>
  api.app.inject({
    method: 'POST',
    url: `/hooks/acme/web/trigger/${token}${slash}`,
    payload,
    headers: type === '' ? {} : { 'content-type': type },
  })

const FORM = 'application/x-www-form-urlencoded'
test.for<[string, string, string, number, string[]]>([
  ['everything', '{"build":true}', 'application/json', 202, ['latest', 'dev']],
  ['everything, by a form', 'build=true', FORM, 202, ['latest', 'dev']],
  ['everything, by nothing', '', '', 202, ['latest', 'dev']],
  ['a tag of an image', '{"docker_tag":"dev"}', 'application/json', 202, ['dev']],
  ['a tag of an image, by a form', 'docker_tag=dev', FORM, 202, ['dev']],
  ['a branch', '{"source_type":"Branch","source_name":"main"}', 'application/json', 202, ['latest']],
  ['a tag', '{"source_type":"Tag","source_name":"v1.0"}', 'application/json', 202, ['1.0']],
  ['a tag, by a form', 'source_type=Tag&source_name=v1.0', FORM, 202, ['1.0']],
  [
    'a branch and a tag of an image',
    '{"source_type":"Branch","source_name":"main","docker_tag":"latest"}',
    'application/json',
    202,
    ['latest'],
  ],
  [
    'a branch, but another tag of an image',
    '{"source_type":"Branch","source_name":"main","docker_tag":"dev"}',
    'application/json',
    202,
    [],
  ],
  ['a tag of an image that no rule sets', '{"docker_tag":"none"}', 'application/json', 202, []],
  ['a branch without a rule', '{"source_type":"Branch","source_name":"other"}', 'application/json', 202, []],
  ['a rule that is off', '{"source_type":"Branch","source_name":"held"}', 'application/json', 202, []],
  ['a branch that is not there', '{"source_type":"Tag","source_name":"v9"}', 'application/json', 202, []],
  ['no build', '{"build":false}', 'application/json', 202, []],
  ['a hostile name', '{"source_type":"Branch","source_name":"--upload-pack=x"}', 'application/json', 202, []],
  ['half a source', '{"source_type":"Branch"}', 'application/json', 400, []],
  ['another kind of source', '{"source_type":"Commit","source_name":"x"}', 'application/json', 400, []],
  ['nothing known', '{"x":1}', 'application/json', 400, []],
  ['no JSON', '{', 'application/json', 400, []],
  ['null', 'null', 'application/json', 400, []],
  ['a list', '[]', 'application/json', 400, []],
])('a trigger asks for %s', async ([, payload, type, status, tags]) => {
  const { token } = await makeTrigger()
  const response = await pull(token, payload, type)
  expect(response.statusCode, response.body).toBe(status)
  const made = await Promise.all(
    (response.json().builds ?? []).map(({ id }: { id: string }) => api.store.builds.get(id as never)),
  )
  expect(new Set(made.flatMap((build) => build?.tags ?? []))).toEqual(new Set(tags))
  for (const build of made) expect(build).toMatchObject({ commit, trigger: 'trigger-url' })
  if (status === 202 && tags.length === 0) expect(response.json().ignored.length).toBeGreaterThan(0)
  const delivery = await newest()
  expect(delivery).toMatchObject({ provider: 'trigger', event: expect.stringMatching(/^trg_/) })
  expect(JSON.stringify(delivery)).not.toContain(token)
  await api.call('DELETE', `${path}/${delivery.event}`)
})

test('a token is shown once, kept as a hash, and useless when it is revoked', async () => {
  const made = await makeTrigger()
  expect(made.url).toBe(`${api.baseUrl}/hooks/acme/web/trigger/${made.token}`)
  const listed = (await api.call('GET', path)).body
  expect(listed.items).toContainEqual({ id: made.id, label: 'cron', createdAtMs: expect.any(Number) })
  expect(JSON.stringify(listed)).not.toContain(made.token)
  const redis = new Redis(api.redisUrl.replace('unix://', ''))
  const stored = JSON.stringify(await redis.hgetall('slip:project:acme/web:triggers'))
  redis.disconnect()
  expect(stored).not.toContain(made.token)
  expect(stored).toContain(createHash('sha256').update(made.token).digest('hex'))
  expect((await pull(made.token, '{"build":true}', 'application/json', '/')).statusCode).toBe(202)
  expect((await api.call('DELETE', `${path}/${made.id}`)).status).toBe(204)
  expect((await api.call('DELETE', `${path}/${made.id}`)).status).toBe(404)
  expect((await pull(made.token, '{"build":true}')).statusCode).toBe(404)
})

test('a token is good for its own project only', async () => {
  await api.call('POST', '/api/v1/projects', { name: 'acme/other' })
  const { token } = await makeTrigger()
  const response = await api.app.inject({ method: 'POST', url: `/hooks/acme/other/trigger/${token}`, payload: '' })
  expect(response.statusCode).toBe(404)
  expect((await api.call('GET', '/api/v1/projects/acme/other/builds')).body.items).toEqual([])
})

test('a person can run a trigger again', async () => {
  const { token } = await makeTrigger()
  const { deliveryId, builds } = (await pull(token, '{"docker_tag":"latest"}')).json()
  const again = await api.call('POST', `/api/v1/deliveries/${deliveryId}/redeliver`)
  expect(again.body.verdict).toMatchObject({ kind: 'accepted', builds: [expect.any(String)] })
  expect(again.body.verdict.builds).not.toContain(builds[0].id)
})

test('a push on Docker Hub triggers what follows the image', async () => {
  const { token } = await makeTrigger()
  const payload = (repo_name: string) => JSON.stringify({ push_data: { tag: 'latest' }, repository: { repo_name } })
  const other = await pull(token, payload('acme/base'))
  expect(other.statusCode).toBe(202)
  expect(other.json().ignored[0].reason).toContain('docker.io/acme/base:latest')
  expect((await pull(token, '{"push_data":null}')).statusCode).toBe(400)
})

test('wrong tokens and too many triggers are turned away', async () => {
  await using other = await startApi()
  await other.call('POST', '/api/v1/projects', { name: 'acme/web' })
  const ask = (token: string) =>
    other.app.inject({ method: 'POST', url: `/hooks/acme/web/trigger/${token}`, payload: '{"build":false}' })
  const wrong = new Set<number>()
  for (let at = 0; at < 60; at++) wrong.add((await ask('wrong')).statusCode)
  expect(wrong).toEqual(new Set([404, 429]))
  const { token } = (await other.call('POST', path, {})).body
  const asked = Array.from({ length: 70 }, (_, at) =>
    other.app.inject({
      method: 'POST',
      url: `/hooks/acme/web/trigger/${token}`,
      payload: '{"build":false}',
      remoteAddress: `192.0.2.${at + 1}`,
    }),
  )
  const statuses = (await Promise.all(asked)).map(({ statusCode }) => statusCode)
  expect(statuses.filter((status) => status === 202)).toHaveLength(60)
  expect(statuses.filter((status) => status === 429)).toHaveLength(10)
})

test('a large body of a trigger is cut off', async () => {
  const { token } = await makeTrigger()
  expect((await pull(token, 'x'.repeat(100_000))).statusCode).toBe(413)
})
