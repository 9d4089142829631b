import { readdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type DiskKind, type DiskObject, type DiskStore, diskTrash, namesIn } from '#host/disk-store'
import { whileNobodyBegins } from '#host/disk-use'
import { measureTree } from '#host/measure-tree'
import { openSys } from '#host/sys'
import { removeUnused } from './remove-unused.ts'

export interface SourceDirectory {
  dataDir: string
  kind: Extract<DiskKind, 'download' | 'git-repository'>
  /** Has a directory for each source. */
  root: string
  /** Of sources whose use is marked late: they are in use as long as anybody builds. */
  markedLate?: true
}

/** Shared to mark the use of a source, exclusive to remove one. */
export function sourcesLock(root: string): string {
  return join(dirname(root), 'sources.lock')
}

/**
 * What was fetched from elsewhere and can be fetched again: bodies of downloads, bare repositories. The time of the
 * newest file right below a source's directory, or its own, is that of its last use.
 */
export function openSourceFiles({ dataDir, kind, root, markedLate }: SourceDirectory): DiskStore {
  const lastUseOf = async (id: string) => await lastUse(join(root, id))
  const isUsed = (usedAtMs: number, sinceMs: number) =>
    usedAtMs >= sinceMs || (markedLate === true && sinceMs !== Number.POSITIVE_INFINITY)
  return {
    async *list() {
      const sinceMs = await whileNobodyBegins(openSys(), { dataDir, storeLock: null }, async (sinceMs) => sinceMs)
      for await (const id of namesIn(root)) {
        if (id.endsWith('.lock')) continue
        const usedAtMs = (await lastUseOf(id)) ?? 0
        const { diskBytes: sizeBytes } = await measureTree(join(root, id))
        yield { kind, id, sizeBytes, usedAtMs, inUse: isUsed(usedAtMs, sinceMs), parents: [] } satisfies DiskObject
      }
    },
    remove: (ids) =>
      removeUnused(
        { dataDir, storeLock: sourcesLock(root) },
        {
          ids,
          trash: diskTrash(join(dirname(root), 'trash'), `${kind}-`),
          pathOf: (id) => join(root, id),
          usedAtMs: lastUseOf,
          isUsed,
        },
      ),
    // Git and the record's digest are asked whenever one is used.
    async *verify() {},
  }
}

async function lastUse(dir: string): Promise<number | null> {
  const own = await stat(dir).catch(() => null)
  if (!own) return null
  const names = await readdir(dir).catch(() => [])
  const inside = await Promise.all(names.map((name) => stat(join(dir, name)).catch(() => null)))
  return Math.max(own.mtimeMs, ...inside.map((stats) => stats?.mtimeMs ?? 0))
}
