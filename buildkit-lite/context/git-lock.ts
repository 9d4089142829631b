import { open, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { waitForLock } from '#host/file-lock'
import { openSys } from '#host/sys'

/**
 * Waits until nobody else changes a bare repository that is a mirror; disposing lets others. The kernel releases the
 * lock when its holder ends, however it ends, and what its git has left is cleared away then.
 */
export async function lockGitMirror(mirrorDir: string, signal: AbortSignal): Promise<AsyncDisposable> {
  const file = await open(`${mirrorDir}.lock`, 'a', 0o600)
  try {
    if (!openSys().tryLock(file.fd, 'exclusive')) await waitForLock(file, 'exclusive', signal)
    await clearLeftovers(mirrorDir)
    return file
  } catch (error) {
    await file.close()
    throw error
  }
}

/** What a killed git leaves: its own locks would stop every git after it, and half a pack fills the disk. */
async function clearLeftovers(mirrorDir: string): Promise<void> {
  const removeIn = async (directory: string, isLeftover: (name: string) => boolean, recursive = false) => {
    const names = await readdir(directory, { recursive }).catch(() => [])
    for (const name of names.filter(isLeftover)) await rm(join(directory, name), { recursive: true, force: true })
  }
  await removeIn(mirrorDir, (name) => name.endsWith('.lock') || name.startsWith('shallow_'))
  await removeIn(join(mirrorDir, 'refs'), (name) => name.endsWith('.lock'), true)
  await removeIn(join(mirrorDir, 'objects', 'pack'), (name) => name.startsWith('tmp_'))
  await removeIn(join(mirrorDir, 'objects'), (name) => name.startsWith('tmp_') || name.startsWith('incoming-'))
}
