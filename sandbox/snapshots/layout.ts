import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { SnapshotKey } from '../contract.ts'

/**
 * Where snapshots lie. Several processes share all of it but `active/<scope>` and `trash/<scope>.…`, which have one
 * owner each:
 *
 *   c/<id>/fs              what a committed snapshot changed, in overlayfs's form
 *   c/<id>/snapshot.json   its record
 *   c/<id>/durable         there once the disk has all of it
 *   active/<scope>/<n>/    snapshots that are being written, and views
 *   trash/<scope>.<n>      on its way to deletion
 *   stub, empty-a, empty-b constant layers
 *   lock                   shared to use a snapshot's parents, exclusive to remove one
 */
export interface Layout {
  readonly root: string
  readonly committed: string
  readonly active: string
  readonly trash: string
  readonly stub: string
  readonly empty: readonly [string, string]
  readonly lock: string
}

export function layoutOf(dataDir: string): Layout {
  const root = join(dataDir, 'snapshots')
  return {
    root,
    // A short name: without the new mount API all layers of a mount share one page.
    committed: join(root, 'c'),
    active: join(root, 'active'),
    trash: join(root, 'trash'),
    stub: join(root, 'stub'),
    empty: [join(root, 'empty-a'), join(root, 'empty-b')],
    lock: join(root, 'lock'),
  }
}

/** 128 bits of the key's hash, in characters that suit a file name. */
export function snapshotId(key: SnapshotKey): string {
  return createHash('sha256').update(key).digest().subarray(0, 16).toString('base64url')
}
