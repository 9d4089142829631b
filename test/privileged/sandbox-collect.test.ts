import { readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { DiskObject } from '#host/disk-store'
import { openLease } from '#host/disk-use'
import { createLogger } from '#host/log'
import { openSys } from '#host/sys'
import { openSandbox, openSnapshotStore, type Sandbox } from '#sandbox'
import { makeDataDir } from './busybox.ts'

const log = createLogger('test', 'error')
let data: ReturnType<typeof makeDataDir>
let sandbox: Sandbox

beforeEach(async () => {
  data = makeDataDir()
  sandbox = await openSandbox({ dataDir: data.path, owner: 'test-collect', warmNetworks: 0 }, log)
})
afterEach(async () => {
  await sandbox[Symbol.asyncDispose]()
  await data[Symbol.asyncDispose]()
})

async function commit(key: string, parent: string | null, text = key): Promise<void> {
  await using snapshot = await sandbox.snapshots.prepare(parent)
  writeFileSync(join(snapshot.upperDir, key), text)
  await snapshot.commit(key)
}
const list = async (): Promise<DiskObject[]> => await Array.fromAsync(openSnapshotStore(data.path).list())
const committed = () => join(data.path, 'snapshots/c')

/** The ids of `a`, `b` on it and `c` on that. */
async function commitThree(): Promise<{ a: string; b: string; c: string }> {
  await commit('a', null, 'x'.repeat(10_000))
  await commit('b', 'a')
  await commit('c', 'b')
  const ids = (await list()).toSorted((one, other) => one.parents.length - other.parents.length).map(({ id }) => id)
  const [a = '', b = '', c = ''] = ids
  return { a, b, c }
}

test('snapshots are listed with what they take and what they stand on', async () => {
  const { a, b, c } = await commitThree()
  const found = new Map((await list()).map((object) => [object.id, object]))
  expect(found.get(c)).toMatchObject({ kind: 'snapshot', inUse: false, parents: [b, a] })
  expect(found.get(a)?.parents).toEqual([])
  expect(found.get(a)?.sizeBytes).toBeGreaterThanOrEqual(10_000)
  expect(found.get(b)?.sizeBytes).toBeLessThan(10_000)
})

test('a snapshot goes only after those that stand on it', async () => {
  const { a, b, c } = await commitThree()
  const store = openSnapshotStore(data.path)
  expect(await store.remove([a, b])).toEqual(new Set())
  expect(await store.remove([c, b])).toEqual(new Set([c, b]))
  expect(await sandbox.snapshots.has('a')).toBe(true)
  expect(await sandbox.snapshots.has('b')).toBe(false)
  expect(readdirSync(join(data.path, 'snapshots/trash')).filter((name) => name.startsWith('gc.'))).toEqual([])
})

test('what is mounted or stood on stays, and so does what a build has asked for', async () => {
  const { a, b, c } = await commitThree()
  const store = openSnapshotStore(data.path)
  {
    await using _active = await sandbox.snapshots.prepare('c')
    expect((await list()).map(({ inUse }) => inUse)).toEqual([true, true, true])
    expect(await store.remove([c, b, a])).toEqual(new Set())
  }
  {
    await using _view = await sandbox.snapshots.view('b')
    expect(await store.remove([c, b, a])).toEqual(new Set([c]))
  }
  for (const id of [a, b]) utimesSync(join(committed(), id, 'snapshot.json'), 1000, 1000)
  // The marks of this process are fresh: another one asks.
  await using other = await openSandbox({ dataDir: data.path, owner: 'test-other', warmNetworks: 0 }, log)
  await using lease = await openLease(openSys(), data.path)
  expect(await other.snapshots.has('b')).toBe(true)
  expect(await store.remove([b, a])).toEqual(new Set())
  await lease[Symbol.asyncDispose]()
  expect(await store.remove([b, a])).toEqual(new Set([b, a]))
})

test('damage is told, of what stands on it too, and in the order that it can go', async () => {
  const { a, b, c } = await commitThree()
  const store = openSnapshotStore(data.path)
  const signal = AbortSignal.timeout(60_000)
  expect(await Array.fromAsync(store.verify(signal))).toEqual([])
  rmSync(join(committed(), b, 'fs/b'))
  const damaged = await Array.fromAsync(store.verify(signal))
  expect(damaged.map(({ id, problem }) => [id, problem])).toEqual([
    [c, `snapshot ${b} beneath it is missing or damaged`],
    [b, 'it has 0 entries with 0 bytes, expected 1 entries with 1 bytes'],
  ])
  expect(await store.remove(damaged.map(({ id }) => id))).toEqual(new Set([c, b]))
  rmSync(join(committed(), a, 'snapshot.json'))
  expect(await Array.fromAsync(store.verify(signal))).toMatchObject([
    { id: a, problem: 'snapshot.json is missing or cannot be read' },
  ])
  expect(await store.remove([a])).toEqual(new Set([a]))
  expect(readdirSync(committed())).toEqual([])
})
