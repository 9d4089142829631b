import { mkdir, open } from 'node:fs/promises'
import { join } from 'node:path'
import { type DiskSpace, diskSpace } from '#host/disk-space'
import type { Damage, DiskKind, DiskStore } from '#host/disk-store'
import { waitForLock } from '#host/file-lock'
import { openSys } from '#host/sys'
import { allowedBytes, type Candidate, type DiskLimits, planRemovals, type Removal } from './policy.ts'

/** So many go under one lock, which builds wait for. */
const BATCH = 32
const MAX_ROUNDS = 3

export interface Collection {
  dataDir: string
  stores: readonly DiskStore[]
  limits: DiskLimits
  dryRun: boolean
  now?: () => number
  space?: (path: string) => Promise<DiskSpace>
}

interface RemovedObject {
  kind: DiskKind
  id: string
  sizeBytes: number
  usedAtMs: number | null
  reason: string
}

export interface DiskReport {
  /** What went, or of a dry run what would go. */
  removed: readonly RemovedObject[]
  removedBytes: number
  kept: number
  keptBytes: number
  /** Of what is kept. */
  inUseBytes: number
  freeBytes: number
}

/** Removes what is kept beyond the limits. One process of a data directory does it at a time; others wait for it. */
export async function collectGarbage(collection: Collection, signal: AbortSignal): Promise<DiskReport> {
  await using _lock = await lockCollection(collection.dataDir, signal)
  return await collect(collection, signal)
}

/** The same where nobody is at it; null where another one is. */
export async function tryCollectGarbage(collection: Collection, signal: AbortSignal): Promise<DiskReport | null> {
  const file = await openLock(collection.dataDir)
  await using _ = file
  return openSys().tryLock(file.fd, 'exclusive') ? await collect(collection, signal) : null
}

export interface Verification {
  damaged: readonly (Damage & { removed: boolean })[]
}

/** Reads everything that is kept, and removes what is damaged. */
export async function verifyDisk(
  { dataDir, stores, dryRun }: Pick<Collection, 'dataDir' | 'stores' | 'dryRun'>,
  signal: AbortSignal,
): Promise<Verification> {
  await using _lock = await lockCollection(dataDir, signal)
  const damaged: (Damage & { removed: boolean })[] = []
  for (const store of stores) {
    const found = await Array.fromAsync(store.verify(signal))
    const gone = dryRun || found.length === 0 ? null : await store.remove(found.map(({ id }) => id))
    for (const damage of found) damaged.push({ ...damage, removed: gone?.has(damage.id) ?? false })
  }
  return { damaged }
}

async function collect(collection: Collection, signal: AbortSignal): Promise<DiskReport> {
  const { dataDir, stores, limits, dryRun, now = Date.now, space = diskSpace } = collection
  const removed: RemovedObject[] = []
  let objects = await listAll(stores)
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const usedBytes = totalOf(objects)
    const plan = planRemovals(objects, allowedBytes(limits, usedBytes, await space(dataDir)), now())
    if (plan.length === 0) break
    const gone = dryRun ? plan : await removeAll(stores, plan, signal)
    for (const { object, reason } of gone) removed.push(describe(object, reason))
    const names = new Set(gone.map(({ object }) => nameOf(object)))
    const refused = new Set(plan.map(({ object }) => nameOf(object)).filter((name) => !names.has(name)))
    objects = objects
      .filter((object) => !names.has(nameOf(object)))
      // Somebody uses it by now: others have to go in its place.
      .map((object) => (refused.has(nameOf(object)) ? { ...object, inUse: true } : object))
    if (dryRun) break
    objects = await withRecords(objects, stores)
  }
  const { freeBytes } = await space(dataDir)
  const inUse = objects.filter(({ kind, inUse }) => inUse && kind !== 'step-record')
  return {
    removed,
    removedBytes: totalOf(removed),
    kept: objects.length,
    keptBytes: totalOf(objects),
    inUseBytes: totalOf(inUse),
    freeBytes,
  }
}

/** Records are looked at again once blobs have gone. */
async function withRecords(objects: readonly Candidate[], stores: readonly DiskStore[]): Promise<Candidate[]> {
  const records = new Set(objects.filter(({ kind }) => kind === 'step-record').map(({ store }) => store))
  const others = objects.filter(({ kind }) => kind !== 'step-record')
  const again = await Promise.all([...records].map((index) => listStore(stores, index)))
  return [...others, ...again.flat()]
}

async function listAll(stores: readonly DiskStore[]): Promise<Candidate[]> {
  const lists: Candidate[][] = []
  for (const index of stores.keys()) lists.push(await listStore(stores, index))
  return lists.flat()
}

async function listStore(stores: readonly DiskStore[], index: number): Promise<Candidate[]> {
  const found: Candidate[] = []
  const store = stores[index]
  if (store) for await (const object of store.list()) found.push({ ...object, store: index })
  return found
}

async function removeAll(
  stores: readonly DiskStore[],
  plan: readonly Removal[],
  signal: AbortSignal,
): Promise<Removal[]> {
  const gone: Removal[] = []
  for (let at = 0; at < plan.length; ) {
    signal.throwIfAborted()
    const index = plan[at]?.object.store ?? 0
    let end = at + 1
    while (end < plan.length && end - at < BATCH && plan[end]?.object.store === index) end++
    const batch = plan.slice(at, end)
    const ids = await stores[index]?.remove(batch.map(({ object }) => object.id))
    gone.push(...batch.filter(({ object }) => ids?.has(object.id)))
    at = end
  }
  return gone
}

function describe({ kind, id, sizeBytes, usedAtMs }: Candidate, reason: string): RemovedObject {
  return { kind, id, sizeBytes, usedAtMs: usedAtMs === 0 ? null : usedAtMs, reason }
}

function nameOf({ store, id }: Candidate): string {
  return `${store} ${id}`
}

function totalOf(objects: readonly { sizeBytes: number }[]): number {
  return objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
}

async function openLock(dataDir: string) {
  await mkdir(join(dataDir, 'leases'), { recursive: true, mode: 0o700 })
  return await open(join(dataDir, 'leases', 'gc.lock'), 'a', 0o600)
}

async function lockCollection(dataDir: string, signal: AbortSignal): Promise<AsyncDisposable> {
  const file = await openLock(dataDir)
  try {
    await waitForLock(file, 'exclusive', signal)
    return file
  } catch (error) {
    await file.close()
    throw error
  }
}
