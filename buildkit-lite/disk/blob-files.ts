import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type Damage, type DiskObject, type DiskStore, diskTrash, namesIn } from '#host/disk-store'
import { whileNobodyBegins } from '#host/disk-use'
import { openSys } from '#host/sys'
import { blobsLock } from '../layers/open-blob-store.ts'
import { removeUnused } from './remove-unused.ts'

/** The content store's blobs. A blob's time is that of its last use. */
export function openBlobFiles(dataDir: string): DiskStore {
  const dir = join(dataDir, 'blobs')
  const place = { dataDir, storeLock: blobsLock(dir) }
  const blobsDir = join(dir, 'sha256')
  return {
    async *list() {
      const sinceMs = await whileNobodyBegins(openSys(), { dataDir, storeLock: null }, async (sinceMs) => sinceMs)
      for await (const id of namesIn(blobsDir)) {
        const stats = await stat(join(blobsDir, id)).catch(() => null)
        if (!stats) continue
        const inUse = stats.mtimeMs >= sinceMs
        yield {
          kind: 'blob',
          id,
          sizeBytes: stats.size,
          usedAtMs: stats.mtimeMs,
          inUse,
          parents: [],
        } satisfies DiskObject
      }
    },
    remove: (ids) =>
      removeUnused(place, {
        ids,
        trash: diskTrash(dir, 'trash-'),
        pathOf: (id) => join(blobsDir, id),
        usedAtMs: async (id) => (await stat(join(blobsDir, id)).catch(() => null))?.mtimeMs ?? null,
      }),
    async *verify(signal) {
      for await (const id of namesIn(blobsDir)) {
        const damage = await checkBlob(blobsDir, id, signal)
        if (damage) yield damage
      }
    },
  }
}

async function checkBlob(blobsDir: string, id: string, signal: AbortSignal): Promise<Damage | null> {
  const hash = createHash('sha256')
  let sizeBytes = 0
  try {
    for await (const chunk of createReadStream(join(blobsDir, id), { signal, highWaterMark: 1024 * 1024 })) {
      hash.update(chunk as Buffer)
      sizeBytes += (chunk as Buffer).length
    }
  } catch (error) {
    signal.throwIfAborted()
    // Whoever collects at the same time may have taken it.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    return { kind: 'blob', id, sizeBytes, problem: `it cannot be read: ${(error as Error).message}` }
  }
  const found = hash.digest('hex')
  return found === id
    ? null
    : { kind: 'blob', id, sizeBytes, problem: `its ${sizeBytes} bytes have digest sha256:${found}` }
}
