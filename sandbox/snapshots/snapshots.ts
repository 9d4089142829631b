import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { SlipwayError } from '#domain/errors'
import { openUseMarks } from '#host/disk-use'
import { withLock } from '#host/file-lock'
import type { Logger } from '#host/log'
import type { Sys } from '#host/sys'
import type { SnapshotKey, Snapshots } from '../contract.ts'
import type { Scope } from '../scope.ts'
import { prepareActive } from './active.ts'
import { openDurability } from './durability.ts'
import { layoutOf, snapshotId } from './layout.ts'
import { makeConstantLayers } from './overlay.ts'
import { DURABLE_FILE, RECORD_FILE, readRecord, type SnapshotRecord } from './record.ts'
import { directoryOf, layersOfRecord, markUse, requireRecord, type SnapshotStore } from './store.ts'
import { openTrash } from './trash.ts'
import { usedIds } from './used-ids.ts'

import { mountView } from './view.ts'

/** Opens the snapshots of a data directory; what a dead owner was writing was reaped before. */
export async function openSnapshots(scope: Scope, sys: Sys, log: Logger): Promise<Snapshots & AsyncDisposable> {
  const layout = layoutOf(scope.dataDir)
  const workspace = join(layout.active, scope.id)
  for (const dir of [layout.committed, workspace]) await mkdir(dir, { recursive: true, mode: 0o700 })
  makeConstantLayers(layout)
  await using stack = new AsyncDisposableStack()
  const trash = stack.use(await openTrash(layout.trash, scope, log))
  const durability = stack.use(await openDurability(log))
  const marks = await openUseMarks(sys, layout.lock)
  const store: SnapshotStore = { sys, layout, workspace, trash, durability, open: new Set(), marks }
  await withLock(sys, layout.lock, 'exclusive', () => discardDoubtful(store, log))
  stack.defer(async () => {
    for (const opened of [...store.open].toReversed()) await opened[Symbol.asyncDispose]()
    await rm(workspace, { recursive: true, force: true })
  })
  const owned = stack.move()
  return {
    has: async (key) => (await markUse(store, key)) && (await readRecord(directoryOf(layout, key))) !== null,
    prepare: (parent) => prepareActive(store, parent),
    view: (key) => mountView(store, key),
    layersOf: async (key) => {
      await markUse(store, key)
      return { lowerDirs: layersOfRecord(layout, await requireRecord(layout, key)) }
    },
    remove: (key) => withLock(sys, layout.lock, 'exclusive', () => removeSnapshot(store, key)),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

async function removeSnapshot(store: SnapshotStore, key: SnapshotKey): Promise<void> {
  const { layout } = store
  const id = snapshotId(key)
  if (!(await readRecord(join(layout.committed, id)))) return
  for (const name of await readdir(layout.committed)) {
    const record = await readRecord(join(layout.committed, name))
    if (record?.parents.includes(id))
      throw new SlipwayError('conflict', `Snapshot ${key} is beneath ${record.key}, which has to go first`)
  }
  if ((await usedIds(layout)).has(id)) throw new SlipwayError('conflict', `Snapshot ${key} is in use`)
  await store.trash.throwAway(join(layout.committed, id))
}

/** After a crash of the machine a snapshot without its mark may have files with nothing in them; so may its children. */
async function discardDoubtful(store: SnapshotStore, log: Logger): Promise<void> {
  const { layout, durability } = store
  const doubtful = new Set<string>()
  const records = new Map<string, SnapshotRecord>()
  for (const id of await readdir(layout.committed)) {
    const names = await readdir(join(layout.committed, id))
    const record = names.includes(RECORD_FILE) ? await readRecord(join(layout.committed, id)) : null
    if (record) records.set(id, record)
    if (!record || (!names.includes(DURABLE_FILE) && record.bootId !== durability.bootId)) doubtful.add(id)
  }
  for (const [id, { parents }] of records)
    if (parents.some((parent) => doubtful.has(parent) || !records.has(parent))) doubtful.add(id)
  for (const id of doubtful) {
    log.warn({ snapshot: id }, 'snapshot was not on the disk when the machine stopped: discarded')
    await store.trash.throwAway(join(layout.committed, id))
  }
}
