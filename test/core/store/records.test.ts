import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Delivery } from '#domain/delivery'
import { Digest } from '#domain/digest'
import { BuildId, DeliveryId, ProjectName, RolloutId } from '#domain/ids'
import type { Rollout } from '#domain/rollout'
import { newId } from '#host/new-id'
import type { Store } from '#store/contract'
import { mayUseRepository } from '#store/grants'
import { openStore } from '#store/open-store'
import { startRedis, type TestRedis } from '../../support/redis.ts'
import { noSecrets, orderOf, projectOf, workerId } from './orders.ts'

let redis: TestRedis
let store: Store

beforeAll(async () => {
  redis = await startRedis()
  store = await openStore(redis.url)
})
afterAll(async () => {
  await store[Symbol.asyncDispose]()
  await redis[Symbol.asyncDispose]()
})

const digestOf = (letter: string) => Digest.parse(`sha256:${letter.repeat(64)}`)

test('a project keeps its secrets to itself', async () => {
  const secrets = { webhookSecret: 'a-webhook-secret', webhookSigningToken: null }
  const project = await store.projects.create(projectOf('acme/secret'), secrets)
  expect(JSON.stringify([await store.projects.get(project.name), await store.projects.list()])).not.toContain(
    'a-webhook',
  )
  expect(await store.projects.secrets(project.name)).toEqual(secrets)
  await expect(store.projects.create(project, noSecrets)).rejects.toMatchObject({ kind: 'already-exists' })
  const changed = await store.projects.change(project.name, { visibility: 'public', webhookSecret: null })
  expect(changed).toMatchObject({ visibility: 'public', rules: project.rules })
  expect(await store.projects.secrets(project.name)).toEqual(noSecrets)
})

test('what is not there is said to be missing', async () => {
  const name = ProjectName.parse('acme/nothing')
  expect(await store.projects.get(name)).toBeNull()
  await expect(store.projects.change(name, {})).rejects.toMatchObject({ kind: 'not-found' })
  await expect(store.projects.secrets(name)).rejects.toMatchObject({ kind: 'not-found' })
})

test('two changes of a project at once are both kept', async () => {
  const { name } = await store.projects.create(projectOf('acme/both'), noSecrets)
  await Promise.all([
    store.projects.change(name, { visibility: 'public' }),
    store.projects.change(name, { defaultBranch: 'trunk' }),
    store.projects.change(name, { repository: 'https://example.org/a.git' }),
  ])
  expect(await store.projects.get(name)).toMatchObject({
    visibility: 'public',
    defaultBranch: 'trunk',
    repository: 'https://example.org/a.git',
  })
})

function deliveryOf(project: string | null, change: Partial<Delivery> = {}): Delivery {
  return Delivery.parse({
    id: newId('dlv'),
    project,
    provider: 'github',
    event: 'push',
    externalId: null,
    receivedAtMs: 1,
    answeredInMs: 2,
    headers: {},
    body: '{}',
    bodyBytes: 2,
    verdict: { kind: 'answered', reason: 'pong' },
    ...change,
  })
}

test('a provider’s delivery id is claimed once, and again after it was released', async () => {
  const project = ProjectName.parse('acme/deliveries')
  const ids = Array.from({ length: 20 }, () => DeliveryId.parse(newId('dlv')))
  const claims = await Promise.all(ids.map((id) => store.deliveries.claimExternalId(project, 'guid-1', id)))
  const first = ids[claims.indexOf(null)]!
  expect(claims.filter((claim) => claim === null)).toHaveLength(1)
  expect(new Set(claims.filter((claim) => claim !== null).map((claim) => claim.id))).toEqual(new Set([first]))
  const verdict: Delivery['verdict'] = { kind: 'accepted', builds: [BuildId.parse(newId('bld'))], ignored: [] }
  await store.deliveries.record(deliveryOf(project, { id: first, verdict }))
  expect(await store.deliveries.claimExternalId(project, 'guid-1', ids[1]!)).toEqual({ id: first, verdict })
  expect(await store.deliveries.claimExternalId(ProjectName.parse('acme/other'), 'guid-1', ids[1]!)).toBeNull()
  await store.deliveries.releaseExternalId(project, 'guid-1')
  expect(await store.deliveries.claimExternalId(project, 'guid-1', ids[2]!)).toBeNull()
})

test('deliveries are listed newest first, and the oldest of a project are dropped', async () => {
  const project = ProjectName.parse('acme/many')
  const deliveries = Array.from({ length: 2005 }, () => deliveryOf(project))
  await Promise.all(deliveries.map((delivery) => store.deliveries.record(delivery)))
  const stray = deliveryOf(null)
  await store.deliveries.record(stray)
  expect(await store.deliveries.get(deliveries[4]!.id)).toBeNull()
  expect(await store.deliveries.get(deliveries[5]!.id)).toEqual(deliveries[5])
  const page = await store.deliveries.list(project, null, 2)
  expect(page.items).toEqual([deliveries[2004], deliveries[2003]])
  expect((await store.deliveries.list(project, page.next, 1)).items).toEqual([deliveries[2002]])
  expect((await store.deliveries.list(null, null, 1)).items).toEqual([stray])
})

test('a token is what was issued, until it expires or is revoked; only its hash is kept', async () => {
  const grant = { kind: 'registry', repository: 'acme/web', actions: ['pull', 'push'] } as const
  const token = await store.tokens.issue(grant, 'build 1', null)
  expect(await store.tokens.check(token)).toEqual(grant)
  expect(await store.tokens.check(`${token}x`)).toBeNull()
  await store.tokens.revoke(token)
  expect(await store.tokens.check(token)).toBeNull()
  const short = await store.tokens.issue({ kind: 'admin' }, 'short', 30)
  expect(await store.tokens.check(short)).toEqual({ kind: 'admin' })
  await sleep(40)
  expect(await store.tokens.check(short)).toBeNull()
  await store.tokens.adopt('the-admin-token', { kind: 'admin' }, 'admin')
  expect(await store.tokens.check('the-admin-token')).toEqual({ kind: 'admin' })
})

const registry = {
  kind: 'registry',
  repository: 'acme/web',
  actions: ['pull', 'push'],
  alsoPull: ['library/*'],
} as const
test.for([
  [registry, 'acme/web', 'push', true],
  [registry, 'acme/web2', 'pull', false],
  [registry, 'library/debian', 'pull', true],
  [registry, 'library/debian', 'push', false],
  [registry, 'librarydebian', 'pull', false],
  [{ kind: 'registry', repository: '*', actions: ['pull'] }, 'any/thing', 'pull', true],
  [{ kind: 'registry', repository: '*', actions: ['pull'] }, 'any/thing', 'push', false],
  [{ kind: 'admin' }, 'any/thing', 'push', true],
] as const)('%j on %s to %s: %s', ([grant, repository, action, expected]) => {
  expect(mayUseRepository(grant, repository, action)).toBe(expected)
})

async function rolloutOf(project: ProjectName, letter: string, change: Partial<Rollout> = {}): Promise<Rollout> {
  const [build] = await store.builds.enqueue([orderOf(project)], 1)
  const id = RolloutId.parse(newId('rol'))
  await store.builds.appendAfter(build!.id, [{ kind: 'rollout-requested', atMs: 1, rollout: id, target: 'x' }])
  return {
    id,
    project,
    build: build!.id,
    target: { namespace: 'default', deployment: project.replace('/', '-'), container: 'web' },
    image: `localhost/${project}@${digestOf(letter)}`,
    digest: digestOf(letter),
    status: 'pending',
    message: '',
    replicas: { desired: 0, updated: 0, ready: 0, available: 0 },
    requestedAtMs: 1,
    startedAtMs: null,
    finishedAtMs: null,
    ...change,
  }
}

test('a rollout is requested once for a target and a digest, and its builds follow it', async () => {
  const { name } = await store.projects.create(projectOf('acme/once'), noSecrets)
  const wanted = await Promise.all(Array.from({ length: 5 }, () => rolloutOf(name, 'a')))
  const requests = await Promise.all(wanted.map((rollout) => store.rollouts.request(rollout)))
  expect(requests.filter(({ isNew }) => isNew)).toHaveLength(1)
  const { id } = requests[0]!.rollout
  expect((await store.rollouts.followers(id)).sort()).toEqual(wanted.map((rollout) => rollout.build).sort())
  await store.rollouts.update(id, { status: 'rolled-back' })
  expect((await store.rollouts.request(await rolloutOf(name, 'a'))).isNew).toBe(true)
})

test('a target has one rollout in flight, and the newest pending one supersedes the older', async () => {
  const { name } = await store.projects.create(projectOf('acme/newest'), noSecrets)
  const worker = workerId()
  await drain()
  const [a, b, c] = [await rolloutOf(name, 'a'), await rolloutOf(name, 'b'), await rolloutOf(name, 'c')]
  await store.rollouts.request(a)
  const first = await store.rollouts.claim(worker, 60_000, 10)
  expect(first).toMatchObject({ id: a.id, status: 'progressing', startedAtMs: 10 })
  await store.rollouts.request(b)
  await store.rollouts.request(c)
  expect(await store.rollouts.claim(workerId(), 60_000, 20)).toBeNull()
  expect(await store.rollouts.renew(a.id, worker, 60_000, 20)).toBe(true)
  expect(await store.rollouts.renew(a.id, workerId(), 60_000, 20)).toBe(false)
  await store.rollouts.update(a.id, { status: 'succeeded', finishedAtMs: 30 })
  expect(await store.rollouts.lastVerified(a.target)).toBe(a.digest)
  expect(await store.rollouts.claim(worker, 60_000, 40)).toMatchObject({ id: c.id })
  expect(await store.rollouts.get(b.id)).toMatchObject({ status: 'superseded', finishedAtMs: 40 })
  await store.rollouts.update(c.id, { status: 'failed' })
  expect(await store.rollouts.lastVerified(a.target)).toBe(a.digest)
  expect((await store.rollouts.list(name, 10)).map((rollout) => rollout.id)).toEqual([c.id, b.id, a.id])
})

test('a rollout whose worker died is taken again once its lease ended', async () => {
  const { name } = await store.projects.create(projectOf('acme/dead'), noSecrets)
  await drain()
  const rollout = await rolloutOf(name, 'a')
  await store.rollouts.request(rollout)
  expect(await store.rollouts.claim(workerId(), 20, 10)).toMatchObject({ id: rollout.id })
  expect(await store.rollouts.claim(workerId(), 20, 11)).toBeNull()
  await sleep(30)
  expect(await store.rollouts.claim(workerId(), 20, 12)).toMatchObject({ id: rollout.id, startedAtMs: 10 })
})

async function drain(): Promise<void> {
  for (let left = await store.rollouts.claim(workerId(), 1000, 1); left; ) {
    await store.rollouts.update(left.id, { status: 'cancelled' })
    left = await store.rollouts.claim(workerId(), 1000, 1)
  }
}

test('workers are listed while they beat', async () => {
  const record = { host: 'a', version: '1', startedAtMs: 1, seenAtMs: 1, capacity: 2, running: [] }
  const [stays, goes] = [workerId(), workerId()]
  await store.workers.beat({ id: stays, ...record }, 60_000)
  await store.workers.beat({ id: goes, ...record }, 10)
  await sleep(20)
  expect((await store.workers.list()).map((worker) => worker.id)).toEqual([stays])
  await store.workers.leave(stays)
  expect(await store.workers.list()).toEqual([])
})

test('the step cache keeps what it was given, by scope', async () => {
  await store.stepCache.put('acme/web', 'sha256:1', '{"a":1}')
  await store.stepCache.putComponents('acme/web', 'RUN: a b', '[]')
  expect(await store.stepCache.get('acme/web', 'sha256:1')).toBe('{"a":1}')
  expect(await store.stepCache.get('acme/other', 'sha256:1')).toBeNull()
  expect(await store.stepCache.getComponents('acme/web', 'RUN: a b')).toBe('[]')
})
