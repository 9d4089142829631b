import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { type Damage, type DiskObject, type DiskStore, diskTrash, namesIn } from '#host/disk-store'
import { whileNobodyBegins } from '#host/disk-use'
import { measureTree, type TreeSize } from '#host/measure-tree'
import { openSys } from '#host/sys'
import { type Layout, layoutOf, snapshotId } from './layout.ts'
import { RECORD_FILE, readRecord } from './record.ts'
import { usedIds } from './used-ids.ts'

const SIZE_FILE = 'size.json'
/** No sandbox has this name, so that whoever opens the trash next deletes what is left. */
const TRASH_PREFIX = 'gc.'
const StoredSize = z.object({ entries: z.number(), fileBytes: z.number(), diskBytes: z.number() })

interface Place {
  dataDir: string
  layout: Layout
}

/** The committed snapshots of a data directory, for who collects what nobody uses; needs no sandbox of its own. */
export function openSnapshotStore(dataDir: string): DiskStore {
  const place = { dataDir, layout: layoutOf(dataDir) }
  return {
    list: () => listSnapshots(place),
    remove: (ids) => removeSnapshots(place, ids),
    verify: (signal) => verifySnapshots(place, signal),
  }
}

function whileUnused<T>({ dataDir, layout }: Place, work: (usedSinceMs: number) => Promise<T>): Promise<T> {
  return whileNobodyBegins(openSys(), { dataDir, storeLock: layout.lock }, work)
}

async function* listSnapshots(place: Place): AsyncGenerator<DiskObject> {
  const { committed } = place.layout
  const [usedSinceMs, used] = await whileUnused(place, async (sinceMs) => [sinceMs, await usedIds(place.layout)])
  for await (const id of namesIn(committed)) {
    const record = await readRecord(join(committed, id))
    const stats = await stat(join(committed, id, RECORD_FILE)).catch(() => null)
    const { diskBytes } = (await sizeOf(join(committed, id))) ?? { diskBytes: 0 }
    const usedAtMs = stats?.mtimeMs ?? 0
    const inUse = used.has(id) || usedAtMs >= usedSinceMs
    yield { kind: 'snapshot', id, sizeBytes: diskBytes, usedAtMs, inUse, parents: record?.parents ?? [] }
  }
}

/** A committed snapshot never changes: it is measured once. */
async function sizeOf(dir: string): Promise<TreeSize | null> {
  const known = await knownSize(dir)
  if (known) return known
  const measured = await measureTree(join(dir, 'fs'))
  // Full or gone: it is measured again the next time.
  await writeFile(join(dir, SIZE_FILE), JSON.stringify(measured)).catch(() => {})
  return measured
}

async function knownSize(dir: string): Promise<TreeSize | null> {
  const text = await readFile(join(dir, SIZE_FILE), 'utf8').catch(() => null)
  if (text === null) return null
  try {
    return StoredSize.parse(JSON.parse(text))
  } catch {
    return null
  }
}

async function removeSnapshots(place: Place, ids: readonly string[]): Promise<ReadonlySet<string>> {
  const { layout } = place
  const trash = diskTrash(layout.trash, TRASH_PREFIX)
  const early = await countChildren(layout)
  const gone = await whileUnused(place, async (usedSinceMs) => {
    const used = await usedIds(layout)
    // A snapshot that came meanwhile may stand on one that is to go.
    const { children } = early.changedAtNs === (await changedAtNs(layout)) ? early : await countChildren(layout)
    const gone = new Set<string>()
    for (const id of ids) {
      const dir = join(layout.committed, id)
      const stats = await stat(join(dir, RECORD_FILE)).catch(() => null)
      if (used.has(id) || (children.get(id) ?? 0) > 0 || (stats?.mtimeMs ?? 0) >= usedSinceMs) continue
      const record = await readRecord(dir)
      if (!(await trash.take(dir))) continue
      gone.add(id)
      for (const parent of record?.parents ?? []) children.set(parent, (children.get(parent) ?? 1) - 1)
    }
    return gone
  })
  await trash.empty()
  return gone
}

/** How many snapshots stand on each, and of when that is. */
async function countChildren(layout: Layout): Promise<{ children: Map<string, number>; changedAtNs: bigint | null }> {
  const asOfNs = await changedAtNs(layout)
  const children = new Map<string, number>()
  for await (const id of namesIn(layout.committed))
    for (const parent of (await readRecord(join(layout.committed, id)))?.parents ?? [])
      children.set(parent, (children.get(parent) ?? 0) + 1)
  return { children, changedAtNs: asOfNs }
}

async function changedAtNs({ committed }: Layout): Promise<bigint | null> {
  return (await stat(committed, { bigint: true }).catch(() => null))?.mtimeNs ?? null
}

/** What stands on a damaged snapshot is damaged, too, and comes before it, as it has to go before it. */
async function* verifySnapshots({ layout }: Place, signal: AbortSignal): AsyncGenerator<Damage> {
  const problems = new Map<string, string>()
  const parents = new Map<string, readonly string[]>()
  for await (const id of namesIn(layout.committed)) {
    signal.throwIfAborted()
    const dir = join(layout.committed, id)
    const problem = await problemOf(dir, id)
    // Whoever collects at the same time may have taken it.
    if (!(await exists(dir))) continue
    parents.set(id, (await readRecord(dir))?.parents ?? [])
    if (problem !== null) problems.set(id, problem)
  }
  for (const [id, below] of parents) {
    const bad = below.find((parent) => !parents.has(parent) || problems.has(parent))
    if (bad !== undefined && !problems.has(id)) problems.set(id, `snapshot ${bad} beneath it is missing or damaged`)
  }
  const ids = [...problems.keys()].sort((a, b) => (parents.get(b)?.length ?? 0) - (parents.get(a)?.length ?? 0))
  for (const id of ids) {
    const sizeBytes = (await knownSize(join(layout.committed, id)))?.diskBytes ?? 0
    yield { kind: 'snapshot', id, sizeBytes, problem: problems.get(id) ?? '' }
  }
}

async function problemOf(dir: string, id: string): Promise<string | null> {
  const record = await readRecord(dir)
  if (!record) return `${RECORD_FILE} is missing or cannot be read`
  if (snapshotId(record.key) !== id) return `${RECORD_FILE} is that of ${record.key}`
  if (!(await exists(join(dir, 'fs')))) return 'its files are missing'
  const known = await knownSize(dir)
  if (known === null) return null
  const { entries, fileBytes } = await measureTree(join(dir, 'fs'))
  if (entries === known.entries && fileBytes === known.fileBytes) return null
  const expected = `${known.entries} entries with ${known.fileBytes} bytes`
  return `it has ${entries} entries with ${fileBytes} bytes, expected ${expected}`
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null)) !== null
}
