import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type DiskObject, type DiskStore, diskTrash, namesIn } from '#host/disk-store'
import { measureTree } from '#host/measure-tree'
import { openSys } from '#host/sys'
import { openCacheLock } from '../solver/cache-locks.ts'

/** The directories behind `--mount=type=cache`. Who has one holds its lock; the lock's time is that of its last use. */
export function openCacheMountFiles(stateDir: string): DiskStore {
  const root = join(stateDir, 'cache-mounts')
  const lockOf = (id: string) => join(stateDir, 'cache-locks', id)
  return {
    async *list() {
      for await (const id of namesIn(root)) {
        const usedAtMs = await lastUse(join(root, id), lockOf(id))
        const { diskBytes: sizeBytes } = await measureTree(join(root, id))
        const inUse = await isLocked(lockOf(id))
        yield { kind: 'cache-mount', id, sizeBytes, usedAtMs, inUse, parents: [] } satisfies DiskObject
      }
    },
    async remove(ids) {
      const trash = diskTrash(join(stateDir, 'trash'), 'cache-')
      const gone = new Set<string>()
      for (const id of ids) {
        await using lock = await openCacheLock(openSys(), lockOf(id), { isUse: false })
        if (lock.tryExclusive() && (await trash.take(join(root, id)))) gone.add(id)
      }
      await trash.empty()
      return gone
    },
    // Any content is right.
    async *verify() {},
  }
}

async function lastUse(...paths: readonly string[]): Promise<number> {
  const all = await Promise.all(paths.map((path) => stat(path).catch(() => null)))
  return Math.max(0, ...all.map((stats) => stats?.mtimeMs ?? 0))
}

async function isLocked(path: string): Promise<boolean> {
  await using lock = await openCacheLock(openSys(), path, { isUse: false })
  return !lock.tryExclusive()
}
