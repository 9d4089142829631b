import { lstatSync } from 'node:fs'
import { mkdir, rename, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SlipwayError } from '#domain/errors'
import { newId } from '#host/new-id'
import type { ActiveSnapshot, SnapshotKey } from '../contract.ts'
import { snapshotId } from './layout.ts'
import { copyRootAttributes, mountWritable, unmountTree } from './overlay.ts'
import { RECORD_FILE, type SnapshotRecord } from './record.ts'
import { claimParent, directoryOf, layersOfRecord, type SnapshotStore } from './store.ts'

/** A new upper directory on top of `parent`. */
export async function prepareActive(store: SnapshotStore, parent: SnapshotKey | null): Promise<ActiveSnapshot> {
  const dir = join(store.workspace, newId('new'))
  const record = await claimParent(store, dir, parent)
  const lowerDirs = record ? layersOfRecord(store.layout, record) : []
  const [upperDir, workDir, rootDir] = [join(dir, 'fs'), join(dir, 'work'), join(dir, 'root')]
  copyRootAttributes(store.sys, lowerDirs[0] ?? store.layout.stub, upperDir)
  await mkdir(workDir)
  await mkdir(rootDir)
  let state: 'writable' | 'mounted' | 'committed' | 'gone' = 'writable'

  const unmount = () => {
    if (state !== 'mounted') return
    unmountTree(store.sys, rootDir)
    state = 'writable'
  }
  const active: ActiveSnapshot = {
    lowerDirs,
    upperDir,
    async mount({ mountPoints } = { mountPoints: true }) {
      if (state === 'mounted') return rootDir
      if (state !== 'writable')
        throw new SlipwayError('invalid', `Snapshot ${upperDir} cannot be mounted: it is ${state}`)
      // The lowest layer is one that no image has: the mount points of a container, or nothing.
      const bottom = mountPoints ? store.layout.stub : store.layout.empty[0]
      mountWritable(store.sys, { target: rootDir, upperDir, workDir, lowerDirs: [...lowerDirs, bottom] })
      state = 'mounted'
      return rootDir
    },
    async commit(key) {
      unmount()
      if (state !== 'writable') throw new SlipwayError('invalid', `Snapshot ${key} cannot be committed: it is ${state}`)
      state = 'committed'
      await publish(store, dir, { ...recordOf(key, parent, record), bootId: store.durability.bootId })
      store.open.delete(active)
    },
    async [Symbol.asyncDispose]() {
      unmount()
      store.open.delete(active)
      if (state === 'gone' || state === 'committed') return
      state = 'gone'
      await store.trash.throwAway(dir)
    },
  }
  store.open.add(active)
  return active
}

function recordOf(key: SnapshotKey, parent: SnapshotKey | null, above: SnapshotRecord | null) {
  const parents = parent === null || above === null ? [] : [snapshotId(parent), ...above.parents]
  return { key, parent, parents, committedAtMs: Date.now() }
}

/** The rename is the commit: whoever reads sees all of it or nothing. The first to commit a key wins. */
async function publish(store: SnapshotStore, dir: string, record: SnapshotRecord): Promise<void> {
  await store.trash.throwAway(join(dir, 'work'))
  await rmdir(join(dir, 'root'))
  await writeFile(join(dir, RECORD_FILE), JSON.stringify(record))
  const target = directoryOf(store.layout, record.key)
  try {
    await rename(dir, target)
  } catch (error) {
    if (!lstatSync(target, { throwIfNoEntry: false })) throw error
    await store.trash.throwAway(dir)
    return
  }
  store.durability.secure(target)
}
