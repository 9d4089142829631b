import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { WorkerId } from '#domain/ids'
import { writeFileAtomic } from '#host/files'
import { newId } from '#host/new-id'

/**
 * A new id, and the one of the process that worked in this data directory before. Whoever asks holds the sandbox's lock,
 * so the earlier one is dead, and what it held in the store can be given back without waiting for leases to end.
 */
export async function takeIdentity(dataDir: string): Promise<{ worker: WorkerId; earlier: WorkerId | null }> {
  const file = join(dataDir, 'run', 'worker-id')
  await mkdir(join(dataDir, 'run'), { recursive: true, mode: 0o700 })
  const earlier = WorkerId.safeParse(await readFile(file, 'utf8').catch(() => null)).data ?? null
  const worker = WorkerId.parse(newId('wrk'))
  await writeFileAtomic(file, worker, 0o600)
  return { worker, earlier }
}
