import { mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { waitForLock } from '#host/file-lock'
import type { Sys } from '#host/sys'

/**
 * The lock of one cache directory, for every build and process of this machine. It is the kernel's: those of a killed
 * process vanish with it.
 */
export interface CacheLock extends AsyncDisposable {
  /** Takes it if nobody has it. */
  tryExclusive(): boolean
  /** Lets others share what was exclusive. */
  share(): void
  /** Waits for whoever has it. */
  wait(mode: 'exclusive' | 'shared', signal: AbortSignal): Promise<void>
}

/** Only a use counts as one for who collects what nobody uses. */
export async function openCacheLock(sys: Sys, path: string, { isUse } = { isUse: true }): Promise<CacheLock> {
  await mkdir(dirname(path), { recursive: true })
  const file = await open(path, 'a', 0o600)
  const nowS = Date.now() / 1000
  // Its time is that of the directory's last use.
  if (isUse) await file.utimes(nowS, nowS)
  let isOpen = true
  return {
    tryExclusive: () => sys.tryLock(file.fd, 'exclusive'),
    share: () => void sys.tryLock(file.fd, 'shared'),
    wait: async (mode, signal) => await waitForLock(file, mode, signal),
    [Symbol.asyncDispose]: async () => {
      if (isOpen) await file.close()
      isOpen = false
    },
  }
}
