import type { DiskTrash } from '#host/disk-store'
import { whileNobodyBegins } from '#host/disk-use'
import { openSys } from '#host/sys'

interface Removal {
  ids: readonly string[]
  trash: DiskTrash
  pathOf: (id: string) => string
  /** Null where it is gone. */
  usedAtMs: (id: string) => Promise<number | null>
  isUsed?: (usedAtMs: number, usedSinceMs: number) => boolean
}

/** Takes out of sight what was not used since the oldest lease, all under one lock, and deletes it after that. */
export async function removeUnused(
  place: { dataDir: string; storeLock: string },
  { ids, trash, pathOf, usedAtMs, isUsed = isSince }: Removal,
): Promise<ReadonlySet<string>> {
  const gone = await whileNobodyBegins(openSys(), place, async (usedSinceMs) => {
    const gone = new Set<string>()
    for (const id of ids) {
      const usedMs = await usedAtMs(id)
      if (usedMs === null || isUsed(usedMs, usedSinceMs)) continue
      if (await trash.take(pathOf(id))) gone.add(id)
    }
    return gone
  })
  await trash.empty()
  return gone
}

function isSince(usedAtMs: number, usedSinceMs: number): boolean {
  return usedAtMs >= usedSinceMs
}
