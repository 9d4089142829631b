import type { FileHandle } from 'node:fs/promises'
import { SlipwayError } from '#domain/errors'
import { exited, spawn } from './exec.ts'

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
