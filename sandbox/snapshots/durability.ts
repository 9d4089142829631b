import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { run } from '#host/exec'
import { syncDirectory } from '#host/files'
import type { Logger } from '#host/log'
import { DURABLE_FILE } from './record.ts'

/** One sync serves all steps that end within this time. */
const GATHER_MS = 1_000

/**
 * Brings committed snapshots to the disk in the background, many with one sync: a crash of a process loses nothing
 * even without, and after a crash of the machine what has no mark is discarded. Disposing waits for the last sync.
 */
export interface Durability extends AsyncDisposable {
  /** Name of this boot of the kernel. */
  readonly bootId: string
  /** Soon writes the mark beside a snapshot. */
  secure(dir: string): void
}

export async function openDurability(log: Logger): Promise<Durability> {
  const bootId = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()
  let waiting: string[] = []
  let syncing: Promise<void> | null = null

  const closing = new AbortController()

  const work = async () => {
    while (waiting.length > 0) {
      await sleep(GATHER_MS, undefined, { signal: closing.signal }).catch(() => {})
      const dirs = waiting
      waiting = []
      await markAll(dirs).catch((error: unknown) => log.warn({ err: error }, 'snapshots are not durable yet'))
    }
    syncing = null
  }
  return {
    bootId,
    secure(dir) {
      waiting.push(dir)
      syncing ??= work()
    },
    async [Symbol.asyncDispose]() {
      closing.abort()
      await syncing
    },
  }
}

async function markAll(dirs: readonly string[]): Promise<void> {
  const [first] = dirs
  if (first === undefined) return
  // All snapshots are on one file system, and syncfs(2) there is one call for all of them.
  await run('sync', ['-f', first])
  for (const dir of dirs) {
    // Removed in the meantime: nothing to secure.
    await writeFile(join(dir, DURABLE_FILE), '').then(
      () => syncDirectory(dir),
      () => {},
    )
  }
}
