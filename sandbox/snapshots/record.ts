import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'

export const RECORD_FILE = 'snapshot.json'
export const DURABLE_FILE = 'durable'

/** What is written beside a committed snapshot. */
export const SnapshotRecord = z.object({
  key: z.string(),
  parent: z.string().nullable(),
  /** Ids of all parents, nearest first: one read is enough to mount. */
  parents: z.array(z.string()),
  committedAtMs: z.number(),
  /** Of the boot that wrote it. After another boot only a snapshot that was made durable can be trusted. */
  bootId: z.string(),
})
export type SnapshotRecord = z.infer<typeof SnapshotRecord>

/** Null where there is no record, or only a part of one. */
export async function readRecord(dir: string): Promise<SnapshotRecord | null> {
  const text = await readFile(join(dir, RECORD_FILE), 'utf8').catch(() => null)
  if (text === null) return null
  try {
    return SnapshotRecord.parse(JSON.parse(text))
  } catch {
    return null
  }
}
