import { open } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Sys } from '#host/sys'

/** Runs `work` while holding the lock file; shared for those who use snapshots, exclusive for who removes one. */
export async function withLock<T>(
  sys: Sys,
  path: string,
  mode: 'shared' | 'exclusive',
  work: () => Promise<T>,
): Promise<T> {
  await using file = await open(path, 'a', 0o600)
  // Others hold it for about a millisecond.
  while (!sys.tryLock(file.fd, mode)) await sleep(2)
  return await work()
}
