import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SlipwayError } from '#domain/errors'
import type { UseMarks } from '#host/disk-use'
import { withLock } from '#host/file-lock'
import type { Sys } from '#host/sys'
import type { SnapshotKey } from '../contract.ts'
import type { Durability } from './durability.ts'
import { type Layout, snapshotId } from './layout.ts'
import { RECORD_FILE, readRecord, type SnapshotRecord } from './record.ts'
import type { Trash } from './trash.ts'

/** What the parts of this room share. */
export interface SnapshotStore {
  readonly sys: Sys
  readonly layout: Layout
  /** Directory of what this owner writes. */
  readonly workspace: string
  readonly trash: Trash
  readonly durability: Durability
  readonly marks: UseMarks
  /** Whatever is still mounted, in order of its making. */
  readonly open: Set<AsyncDisposable>
}

export function directoryOf(layout: Layout, key: SnapshotKey): string {
  return join(layout.committed, snapshotId(key))
}

export async function requireRecord(layout: Layout, key: SnapshotKey): Promise<SnapshotRecord> {
  const record = await readRecord(directoryOf(layout, key))
  if (!record) throw new SlipwayError('not-found', `Snapshot ${key} was never committed here`)
  return record
}

/** Marks the use of a snapshot, whose record's time says it; false where there is none. */
export async function markUse({ layout, marks }: SnapshotStore, key: SnapshotKey): Promise<boolean> {
  return await marks.use(join(directoryOf(layout, key), RECORD_FILE))
}

/** The directories of a snapshot and its parents, top-most first. */
export function layersOfRecord(layout: Layout, record: SnapshotRecord): string[] {
  return [snapshotId(record.key), ...record.parents].map((id) => join(layout.committed, id, 'fs'))
}

/** Says which snapshot a directory of the workspace stands on, so that nobody removes it meanwhile. */
export async function claimParent(
  store: SnapshotStore,
  dir: string,
  parent: SnapshotKey | null,
): Promise<SnapshotRecord | null> {
  if (parent === null) {
    await mkdir(dir, { mode: 0o700 })
    return null
  }
  await markUse(store, parent)
  return withLock(store.sys, store.layout.lock, 'shared', async () => {
    const record = await requireRecord(store.layout, parent)
    await mkdir(dir, { mode: 0o700 })
    await writeFile(join(dir, 'uses'), [snapshotId(parent), ...record.parents].join('\n'))
    return record
  })
}
