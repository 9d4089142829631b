import { afterAll, beforeAll, expect, test } from 'vitest'
import { run } from '#host/exec'
import { type ClusterObjects, openClusterObjects } from '#store/cluster-objects'
import { startRedis, type TestRedis } from '#test/redis'
import type { ConfigMap } from '../../cluster/kinds.ts'
import type { ObjectChange } from '../../cluster/objects.ts'
import { openObjects } from '../../cluster/open-objects.ts'

let redis: TestRedis
let store: ClusterObjects

beforeAll(async () => {
  redis = await startRedis()
  store = await openClusterObjects(redis.url)
})
afterAll(async () => {
  await store[Symbol.asyncDispose]()
  await redis[Symbol.asyncDispose]()
})

const configMap = (name: string, data: Record<string, string> = {}): ConfigMap & { kind: 'ConfigMap' } => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'default' },
  data,
})
const refOf = (name: string) => ({ kind: 'ConfigMap' as const, namespace: 'default', name })

test('versions rise with every change, and a write with an old one is refused', async () => {
  const first = await store.create('A//a', '{"n":1}')
  const second = await store.update('A//a', '{"n":2}', first)
  expect(second).toBe(first + 1)
  await expect(store.update('A//a', '{"n":3}', first)).rejects.toMatchObject({ kind: 'conflict' })
  await expect(store.create('A//a', '{"n":4}')).rejects.toMatchObject({ kind: 'already-exists' })
  await expect(store.update('A//none', '{}', 1)).rejects.toMatchObject({ kind: 'not-found' })
  expect(await store.get('A//a')).toEqual({ key: 'A//a', version: second, json: '{"n":2}' })
  const third = await store.delete('A//a', '{"n":2}', second)
  expect(await store.get('A//a')).toBeNull()
  const changes = await store.history(first - 1)
  expect(changes.map(({ kind, version }) => [kind, version])).toEqual([
    ['created', first],
    ['updated', second],
    ['deleted', third],
  ])
})

test('a write that is sent again after a lost reply is not a conflict with itself', async () => {
  const version = await store.create('B//b', '{"n":1}')
  expect(await store.create('B//b', '{"n":1}')).toBe(version)
  const next = await store.update('B//b', '{"n":2}', version)
  expect(await store.update('B//b', '{"n":2}', version)).toBe(next)
})

test('a watch tells what was kept, then what comes', async () => {
  const { version } = await store.list()
  await store.create('C//c', '{}')
  const ending = new AbortController()
  const seen: string[] = []
  for await (const { kind } of store.watch(version, ending.signal)) {
    seen.push(kind)
    if (seen.length === 1) await store.delete('C//c', '{}', version + 1)
    else ending.abort()
  }
  expect(seen).toEqual(['created', 'deleted'])
})

test('the in-process copy survives a restart with versions and history', async () => {
  const objects = await openObjects(await openClusterObjects(redis.url))
  const created = await objects.create(configMap('kept', { a: '1' }))
  await objects.update(refOf('kept'), (draft) => ({ ...draft, data: { a: '2' } }))
  await objects[Symbol.asyncDispose]()
  await using again = await openObjects(await openClusterObjects(redis.url))
  const found = again.get('ConfigMap', 'default', 'kept')
  expect(found).toMatchObject({ data: { a: '2' }, metadata: { uid: created.metadata.uid } })
  expect(found?.metadata.resourceVersion).toBe(String(again.version))
  const since = again.changesSince(Number(created.metadata.resourceVersion))
  expect(since?.map(({ type, version }) => [type, version])).toEqual([['MODIFIED', again.version]])
})

test('changes come in order, with what was before; a change of nothing is none', async () => {
  await using objects = await openObjects(await openClusterObjects(redis.url))
  const seen: ObjectChange<'ConfigMap'>[] = []
  using _watching = objects.watch('ConfigMap', (change) => seen.push(change))
  await objects.create(configMap('w', { a: '1' }))
  const same = await objects.update(refOf('w'), (draft) => draft)
  await Promise.all(['2', '3', '4'].map((a) => objects.update(refOf('w'), (draft) => ({ ...draft, data: { a } }))))
  await objects.delete(refOf('w'))
  expect(seen.map(({ type, object }) => [type, object.data?.['a']])).toEqual([
    ['ADDED', '1'],
    ['MODIFIED', '2'],
    ['MODIFIED', '3'],
    ['MODIFIED', '4'],
    ['DELETED', '4'],
  ])
  expect(seen[1]?.previous?.metadata.resourceVersion).toBe(same.metadata.resourceVersion)
  expect(Number(seen[4]?.object.metadata.resourceVersion)).toBe(objects.version)
})

test('lost connections to Redis lose no write and make none twice', async () => {
  await using objects = await openObjects(await openClusterObjects(redis.url))
  await objects.create(configMap('blip', { n: '0' }))
  const before = objects.version
  const writes = Array.from({ length: 200 }, (_, n) =>
    objects.update(refOf('blip'), (draft) => ({ ...draft, data: { n: String(n + 1) } })),
  )
  for (let cut = 0; cut < 5; cut++) {
    await run('redis-cli', ['-s', redis.socket, 'client', 'kill', 'type', 'normal'])
  }
  await Promise.all(writes)
  expect(objects.get('ConfigMap', 'default', 'blip')?.data).toEqual({ n: '200' })
  expect(objects.version).toBe(before + 200)
  const kept = await store.get('ConfigMap/default/blip')
  expect([kept?.version, JSON.parse(kept?.json ?? '{}')]).toMatchObject([objects.version, { data: { n: '200' } }])
})

test('finalizers keep a deleted object until the last is gone', async () => {
  await using objects = await openObjects(await openClusterObjects(redis.url))
  await objects.create({ ...configMap('f'), metadata: { name: 'f', namespace: 'default', finalizers: ['x', 'y'] } })
  const marked = await objects.delete(refOf('f'))
  expect(marked.metadata.deletionTimestamp).toBeDefined()
  const drop = (left: string[]) =>
    objects.update(refOf('f'), (draft) => ({ ...draft, metadata: { ...draft.metadata, finalizers: left } }))
  await drop(['y'])
  expect(objects.get('ConfigMap', 'default', 'f')).not.toBeNull()
  await drop([])
  expect(objects.get('ConfigMap', 'default', 'f')).toBeNull()
})

test('the same Event again counts up', async () => {
  await using objects = await openObjects(await openClusterObjects(redis.url))
  const about = { kind: 'Pod', namespace: 'default', name: 'noisy', uid: 'u1' }
  const { promise, resolve } = Promise.withResolvers<number>()
  using _watching = objects.watch('Event', ({ object }) => object.count === 3 && resolve(object.count))
  for (let i = 0; i < 3; i++) {
    objects.recordEvent(about, { type: 'Warning', reason: 'BackOff', message: 'again', component: 'test' })
  }
  expect(await promise).toBe(3)
  expect(objects.list('Event').filter(({ involvedObject }) => involvedObject.uid === 'u1')).toHaveLength(1)
})
