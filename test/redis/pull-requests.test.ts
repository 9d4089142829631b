import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { run } from '#host/exec'
import { startApi, type TestApi } from '../support/api.ts'
import { startGitServer } from '../support/git-server.ts'
import { HOOK_SECRET, type HookFixture, hookRequest, projectFor, readHooks } from '../support/webhooks.ts'

let api: TestApi
beforeAll(async () => {
  api = await startApi()
})
afterAll(() => api?.[Symbol.asyncDispose]())

const hooks = readHooks()
const hookNamed = (name: string): HookFixture => {
  const hook = hooks.find((one) => one.name === name)
  if (!hook) throw new Error(`No fixture ${name}`)
  return hook
}
const send = async (name: string, project: string, body?: object) => {
  const hook = hookNamed(name)
  return (await api.app.inject(hookRequest(hook, body ?? hook.body, project))).json()
}
const buildsOf = async (project: string) => (await api.call('GET', `/api/v1/projects/${project}/builds`)).body.items

test.for([
  'github-pull-request-fork',
  'gitea-pull-request-fork',
  'forgejo-pull-request-fork',
  'gitlab-merge-request-fork',
  'bitbucket-server-pull-request-fork',
])('%s is built once its commit is approved, and only that commit', async (name) => {
  const project = await projectFor(api, hookNamed(name))
  const { deliveryId } = await send(name, project)
  const path = `/api/v1/deliveries/${deliveryId}`
  const { verdict } = (await api.call('GET', path)).body
  expect(verdict).toMatchObject({ kind: 'waiting', pullRequest: 7, commit: 'e5'.repeat(20) })
  expect(await buildsOf(project)).toEqual([])
  expect((await api.call('POST', `${path}/approve`, { commit: 'f6'.repeat(20) })).status).toBe(409)
  expect((await api.call('POST', `${path}/approve`, {})).status).toBe(400)
  expect(await buildsOf(project)).toEqual([])
  // Running it again is no approval.
  expect((await api.call('POST', `${path}/redeliver`)).body.verdict.kind).toBe('waiting')

  const approved = await api.call('POST', `${path}/approve`, { commit: verdict.commit })
  expect(approved).toMatchObject({ status: 200, body: { id: deliveryId, verdict: { kind: 'accepted' } } })
  const [build] = await buildsOf(project)
  expect(build).toMatchObject({ commit: verdict.commit, isFork: true, push: false, tags: [], deploy: [] })
  expect((await api.call('POST', `${path}/approve`, { commit: verdict.commit })).status).toBe(409)

  // The same commit needs no second approval, another one does.
  expect((await send(name, project)).builds).toEqual([expect.objectContaining({ id: build.id })])
  const text = JSON.stringify(hookNamed(name).body).replaceAll('e5'.repeat(20), '0a'.repeat(20))
  expect((await send(name, project, JSON.parse(text))).builds).toEqual([])
  expect(await buildsOf(project)).toHaveLength(1)
})

test('what waits for no approval cannot be approved', async () => {
  const project = await projectFor(api, hookNamed('github-push'), 'acme/no-approval')
  const { deliveryId } = await send('github-push', project)
  const answer = await api.call('POST', `/api/v1/deliveries/${deliveryId}/approve`, { commit: 'b2'.repeat(20) })
  expect(answer.status).toBe(409)
})

test('closing a pull request cancels its builds, and no others', async () => {
  const project = await projectFor(api, hookNamed('github-pull-request'), 'acme/closing')
  const [ofPush] = (await send('github-push', project)).builds
  const [ofRequest] = (await send('github-pull-request', project)).builds
  const { ignored } = await send('github-pull-request-closed', project)
  expect(ignored[0].reason).toBe('pull request 7 was closed; 1 of its builds cancelled')
  expect(await api.store.builds.get(ofRequest.id)).toMatchObject({ status: 'cancelled' })
  expect(await api.store.builds.get(ofPush.id)).toMatchObject({ status: 'queued' })
})

test('deleting a branch cancels its builds', async () => {
  const project = await projectFor(api, hookNamed('github-push'), 'acme/deleting')
  const [build] = (await send('github-push', project)).builds
  const { ignored } = await send('github-branch-deleted', project)
  expect(ignored[0].reason).toBe('refs/heads/main was deleted; 1 of its builds cancelled')
  expect(await api.store.builds.get(build.id)).toMatchObject({ status: 'cancelled' })
})

test('a branch named like a tag of an image cannot take it by a pull request', async () => {
  const project = await projectFor(api, hookNamed('github-pull-request'), 'acme/latest')
  const text = JSON.stringify(hookNamed('github-pull-request').body).replaceAll('"page"', '"latest"')
  const [build] = (await send('github-pull-request', project, JSON.parse(text))).builds
  expect(await api.store.builds.get(build.id)).toMatchObject({ push: false, tags: [] })
})

test('Bitbucket Cloud names a part of the commit: the branch has the whole', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'slip-cloud-'))
  const git = async (args: string[], input?: Buffer) =>
    (await run('git', ['-C', dir.path, ...args], input ? { input } : {})).stdout.toString().trim()
  await git(['init', '--quiet', '--bare', 'acme/shop.git'])
  const inRepository = ['--git-dir', join(dir.path, 'acme/shop.git')]
  const tree = await git([...inRepository, 'mktree'], Buffer.alloc(0))
  const author = ['-c', 'user.name=Ada', '-c', 'user.email=ada@example.com']
  const commit = await git([...author, ...inRepository, 'commit-tree', tree, '-m', 'Page'])
  await git([...inRepository, 'update-ref', 'refs/heads/page', commit])
  await using server = await startGitServer(dir.path)

  const project = 'acme/cloud'
  const rules = [{ source: 'pull-request', pattern: '/.+/' }]
  const repository = `${server.url}/acme/shop.git`
  await api.call('POST', '/api/v1/projects', { name: project, repository, webhookSecret: HOOK_SECRET, rules })
  const body = (start: string) => {
    const text = JSON.stringify(hookNamed('bitbucket-pull-request-closed').body)
    return JSON.parse(text.replace('b2'.repeat(6), start).replace('https://bitbucket.org/acme/shop', repository))
  }
  const hook = { provider: 'bitbucket', headers: { 'x-event-key': 'pullrequest:created' } }
  const post = async (start: string) => (await api.app.inject(hookRequest(hook, body(start), project))).json()
  const { builds } = await post(commit.slice(0, 12))
  expect(await api.store.builds.get(builds[0].id)).toMatchObject({ commit, ref: 'refs/heads/page', push: false })
  expect((await post('0'.repeat(12))).ignored[0].reason).toContain('has moved on')
  await server[Symbol.asyncDispose]()
  const unreachable = await post(commit.slice(0, 11))
  expect(unreachable.ignored[0].reason).toContain('could not be asked')
})

test('the simulator says what a pull request would do, and rules that collide are told of', async () => {
  const rules = [
    { source: 'branch', pattern: 'main' },
    { source: 'branch', pattern: '/ma.*/', tags: ['{branch}', 'latest'] },
    { source: 'pull-request', pattern: '/main|release-.+/' },
  ]
  const made = await api.call('POST', '/api/v1/projects', { name: 'acme/rules', rules })
  expect(made.body.warnings).toEqual([expect.stringMatching(/Rules 0 and 1 both build branch main .* latest/)])
  const put = await api.call('PUT', '/api/v1/projects/acme/rules', { rules: rules.slice(1) })
  expect(put.body.warnings).toEqual([])
  const simulate = (body: object) => api.call('POST', '/api/v1/projects/acme/rules/rules/simulate', { rules, ...body })
  const asked = await simulate({ kind: 'pull-request', ref: 'main' })
  expect(asked.body.outcomes.map(({ matches, push }: Record<string, unknown>) => [matches, push])).toEqual([
    [false, false],
    [false, false],
    [true, false],
  ])
  expect(asked.body.outcomes[2]).toMatchObject({ tags: [], reason: expect.stringContaining('not pushed') })
  const skipped = await simulate({ kind: 'branch', ref: 'main', message: 'x [ci skip]' })
  expect(skipped.body.outcomes[0]).toMatchObject({ matches: false, reason: expect.stringContaining('[ci skip]') })
  expect((await simulate({ kind: 'pull-request', ref: 'a..b' })).status).toBe(400)
})
