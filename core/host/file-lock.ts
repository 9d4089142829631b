import { type FileHandle, open } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { SlipwayError } from '#domain/errors'
import { exited, spawn } from './exec.ts'
import type { Sys } from './sys.ts'

/**
 * Waits until flock(2) gives an open file its lock, without a pause of this thread and without asking again and again:
 * a child takes the lock of the same open file, which is then ours, and ends. Closing the file releases it, as the end
 * of this process does.
 */
export async function waitForLock(file: FileHandle, mode: 'exclusive' | 'shared', signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  const args = [mode === 'exclusive' ? '--exclusive' : '--shared', '3']
  const child = spawn('flock', args, { stdio: ['ignore', 'ignore', 'ignore', file.fd], signal, killSignal: 'SIGKILL' })
  try {
    const { code } = await exited(child)
    if (code === 0) return
    signal.throwIfAborted()
    throw new SlipwayError('internal', `flock of an open file exited with code ${code}, expected 0`)
  } catch (error) {
    signal.throwIfAborted()
    throw error
  }
}

/** Runs `work` while holding a lock file that others hold for moments only. */
export async function withLock<T>(
  sys: Sys,
  path: string,
  mode: 'shared' | 'exclusive',
  work: () => Promise<T>,
): Promise<T> {
  await using file = await open(path, 'a', 0o600)
  while (!sys.tryLock(file.fd, mode)) await sleep(2)
  return await work()
}
