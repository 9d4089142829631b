import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { newId } from '#host/new-id'
import type { SnapshotKey, SnapshotView } from '../contract.ts'
import { mountReadonly, unmountTree } from './overlay.ts'
import { claimParent, layersOfRecord, type SnapshotStore } from './store.ts'

/** Mounts a snapshot's merged tree read-only, without the mount points that containers get. */
export async function mountView(store: SnapshotStore, key: SnapshotKey | null): Promise<SnapshotView> {
  const dir = join(store.workspace, newId('view'))
  const record = await claimParent(store, dir, key)
  const rootDir = join(dir, 'root')
  await mkdir(rootDir)
  const layers = record ? layersOfRecord(store.layout, record) : []
  mountReadonly(store.sys, rootDir, [...layers, ...store.layout.empty])
  let isMounted = true
  const view: SnapshotView = {
    rootDir,
    async [Symbol.asyncDispose]() {
      if (!isMounted) return
      isMounted = false
      unmountTree(store.sys, rootDir)
      store.open.delete(view)
      await rm(dir, { recursive: true, force: true })
    },
  }
  store.open.add(view)
  return view
}
