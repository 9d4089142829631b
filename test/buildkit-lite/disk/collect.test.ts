import { createHash } from 'node:crypto'
import { mkdir, mkdtempDisposable, readdir, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Digest } from '#domain/digest'
import type { DiskStore } from '#host/disk-store'
import { openLease } from '#host/disk-use'
import { openSys } from '#host/sys'
import { collectGarbage, tryCollectGarbage, verifyDisk } from '../../../buildkit-lite/disk/collect.ts'
import { openBuildStores } from '../../../buildkit-lite/disk/open-build-stores.ts'
import type { DiskLimits } from '../../../buildkit-lite/disk/policy.ts'
import { openBlobStore } from '../../../buildkit-lite/layers/open-blob-store.ts'
import { openCacheLock } from '../../../buildkit-lite/solver/cache-locks.ts'
import { openFileStepCache } from '../../../buildkit-lite/solver/file-step-cache.ts'

const sys = openSys()
const signal = AbortSignal.timeout(60_000)
const space = async () => ({ freeBytes: 1e12, totalBytes: 1e12 })
const HOUR_MS = 3_600_000

/** A data directory with whatever a test puts there. */
async function openBench() {
  const dir = await mkdtempDisposable('/tmp/slip-collect-')
  const dataDir = dir.path
  const blobs = await openBlobStore(join(dataDir, 'blobs'))
  const stores = openBuildStores(dataDir)
  const age = async (path: string, hours: number) => {
    const atS = (Date.now() - hours * HOUR_MS) / 1000
    await utimes(join(dataDir, path), atS, atS)
  }
  const blob = async (text: string, hours: number): Promise<Digest> => {
    const digest = Digest.parse(`sha256:${createHash('sha256').update(text).digest('hex')}`)
    await blobs.write(
      (async function* () {
        yield Buffer.from(text)
      })(),
      { digest },
      signal,
    )
    await age(`blobs/sha256/${digest.slice(7)}`, hours)
    return digest
  }
  const collect = (limits: DiskLimits, dryRun = false, used: readonly DiskStore[] = stores) =>
    collectGarbage({ dataDir, stores: used, limits, dryRun, space }, signal)
  return {
    dataDir,
    blobs,
    stores,
    age,
    blob,
    collect,
    names: async (path: string) => (await readdir(join(dataDir, path)).catch((): string[] => [])).toSorted(),
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  }
}

test('the blobs used longest ago go; a dry run only says so', async () => {
  await using bench = await openBench()
  const [old, middle, fresh] = [await bench.blob('old', 9), await bench.blob('middle', 5), await bench.blob('new!', 1)]
  const limits = { maxBytes: 4, reservedBytes: 0 }
  const planned = await bench.collect(limits, true)
  expect(planned.removed.map(({ id, reason }) => [id, reason])).toEqual([
    [old.slice(7), 'used longest ago'],
    [middle.slice(7), 'used longest ago'],
  ])
  expect(await bench.names('blobs/sha256')).toHaveLength(3)
  const done = await bench.collect(limits)
  expect(done).toMatchObject({ removedBytes: 9, keptBytes: 4, inUseBytes: 0, removed: planned.removed })
  expect(await bench.names('blobs/sha256')).toEqual([fresh.slice(7)])
  expect(await bench.names('blobs')).toEqual(['lock', 'sha256', 'staged'])
})

test('what a build has used since it began stays; what it has not, goes', async () => {
  await using bench = await openBench()
  const [used, unused] = [await bench.blob('used', 900), await bench.blob('unused', 900)]
  await using lease = await openLease(sys, bench.dataDir)
  expect(await bench.blobs.has(used)).toEqual({ sizeBytes: 4 })
  const report = await bench.collect({ keepNothing: true })
  expect(report.removed.map(({ id }) => id)).toEqual([unused.slice(7)])
  expect(report.inUseBytes).toBe(4)
  expect(await bench.blobs.has(unused)).toBeNull()
  await lease[Symbol.asyncDispose]()
  await bench.collect({ keepNothing: true })
  expect(await bench.names('blobs/sha256')).toEqual([])
})

test('a use between the plan and the removal wins, and others go in its place', async () => {
  await using bench = await openBench()
  const [oldest, other] = [await bench.blob('oldest', 9), await bench.blob('others', 8)]
  const [files] = bench.stores
  if (!files) throw new Error('there is no store')
  const leases = new AsyncDisposableStack()
  const racing: DiskStore = {
    ...files,
    async remove(ids) {
      if (ids.includes(oldest.slice(7))) {
        leases.use(await openLease(sys, bench.dataDir))
        await bench.blobs.has(oldest)
      }
      return await files.remove(ids)
    },
  }
  const report = await bench.collect({ maxBytes: 6, reservedBytes: 0 }, false, [racing])
  expect(report.removed.map(({ id }) => id)).toEqual([other.slice(7)])
  expect(await bench.blobs.has(oldest)).not.toBeNull()
  await leases.disposeAsync()
})

test('a cache mount goes unless a step has it', async () => {
  await using bench = await openBench()
  for (const name of ['held', 'free']) {
    await mkdir(join(bench.dataDir, 'builder/cache-mounts', name), { recursive: true })
    await writeFile(join(bench.dataDir, 'builder/cache-mounts', name, 'f'), 'x'.repeat(5000))
  }
  await using lock = await openCacheLock(sys, join(bench.dataDir, 'builder/cache-locks/held'))
  expect(lock.tryExclusive()).toBe(true)
  const report = await bench.collect({ keepNothing: true })
  expect(report.removed).toMatchObject([{ kind: 'cache-mount', id: 'free' }])
  expect(report.removed[0]?.sizeBytes).toBeGreaterThanOrEqual(5000)
  expect(await bench.names('builder/cache-mounts')).toEqual(['held'])
  expect(await bench.names('builder/trash')).toEqual([])
})

test('downloads and repositories go as a whole, pushed ones and locks never', async () => {
  await using bench = await openBench()
  const places = ['build-state/downloads/a', 'builder/git-sources/b.git', 'git/mirrors/c.git', 'git/repos/acme/web.git']
  for (const place of places) {
    await mkdir(join(bench.dataDir, place), { recursive: true })
    await writeFile(join(bench.dataDir, place, 'file'), 'x')
    for (const path of [`${place}/file`, place]) await bench.age(path, 10)
  }
  await writeFile(join(bench.dataDir, 'git/mirrors/c.git.lock'), '')
  {
    // A worker’s mirrors are marked late: they wait until nobody builds.
    await using _lease = await openLease(sys, bench.dataDir)
    const { removed } = await bench.collect({ keepNothing: true }, true)
    expect(removed.map(({ id }) => id).sort()).toEqual(['a', 'b.git'])
  }
  const { removed } = await bench.collect({ keepNothing: true })
  expect(removed.map(({ kind, id }) => `${kind} ${id}`).sort()).toEqual([
    'download a',
    'git-repository b.git',
    'git-repository c.git',
  ])
  expect(await bench.names('git/mirrors')).toEqual(['c.git.lock'])
  expect(await bench.names('git/repos/acme')).toEqual(['web.git'])
})

test('a step’s record goes with its blob', async () => {
  await using bench = await openBench()
  const cache = await openFileStepCache(join(bench.dataDir, 'builder/cache'))
  const digests = { old: await bench.blob('old', 9), new: await bench.blob('new!', 1) }
  for (const [key, digest] of Object.entries(digests)) {
    const descriptor = { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest, size: 3 }
    const origin = { place: key, components: [] }
    await cache.put('s', key, { layer: { descriptor, diffId: digest }, createdAtMs: 1 }, origin)
  }
  const { removed } = await bench.collect({ maxBytes: 600, reservedBytes: 0 })
  expect(removed).toEqual([])
  await bench.collect({ keepNothing: true })
  expect(await cache.get('s', 'old')).toBeNull()
  expect(await bench.names('builder/cache/steps')).toEqual([])
})

test('damage is found by reading, and goes unless it is in use or only asked for', async () => {
  await using bench = await openBench()
  const [good, bad] = [await bench.blob('good', 9), await bench.blob('bad', 9)]
  await writeFile(join(bench.dataDir, 'blobs/sha256', bad.slice(7)), 'bat')
  await bench.age(`blobs/sha256/${bad.slice(7)}`, 9)
  await openFileStepCache(join(bench.dataDir, 'builder/cache'))
  await writeFile(join(bench.dataDir, 'builder/cache/steps/half'), '{"layer":')
  const verify = (dryRun: boolean) => verifyDisk({ ...bench, dryRun }, signal)
  const found = [
    {
      kind: 'blob',
      id: bad.slice(7),
      sizeBytes: 3,
      problem: expect.stringContaining('its 3 bytes have digest sha256:'),
    },
    { kind: 'step-record', id: 'half', problem: 'it cannot be understood' },
  ]
  expect((await verify(true)).damaged).toMatchObject(found.map((one) => ({ ...one, removed: false })))
  {
    await using _lease = await openLease(sys, bench.dataDir)
    await bench.blobs.has(bad)
    expect((await verify(false)).damaged).toMatchObject([
      { kind: 'blob', removed: false },
      { kind: 'step-record', removed: true },
    ])
  }
  expect((await verify(false)).damaged).toMatchObject([{ kind: 'blob', removed: true }])
  expect((await verify(false)).damaged).toEqual([])
  expect(await bench.names('blobs/sha256')).toEqual([good.slice(7)])
})

test('one process of a data directory collects at a time', async () => {
  await using bench = await openBench()
  const [files] = bench.stores
  if (!files) throw new Error('there is no store')
  const { promise: began, resolve: begin } = Promise.withResolvers<void>()
  const { promise: may, resolve: goOn } = Promise.withResolvers<void>()
  const slow: DiskStore = {
    ...files,
    async *list() {
      begin()
      await may
      yield* files.list()
    },
  }
  const options = { dataDir: bench.dataDir, limits: {}, dryRun: false, space }
  const first = collectGarbage({ ...options, stores: [slow] }, signal)
  await began
  expect(await tryCollectGarbage({ ...options, stores: bench.stores }, signal)).toBeNull()
  const second = collectGarbage({ ...options, stores: bench.stores }, signal)
  goOn()
  expect(await first).toMatchObject({ removed: [] })
  expect(await second).toMatchObject({ removed: [] })
  expect(await tryCollectGarbage({ ...options, stores: bench.stores }, signal)).not.toBeNull()
})
