import { randomBytes } from 'node:crypto'
import { closeSync, fstatSync, openSync, statSync } from 'node:fs'
import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Sys } from '#host/sys'

/** A RAM-backed file system of every Linux: secrets never reach a disk. */
const MEMORY_DIR = '/dev/shm'
const PREFIX = 'slip-step-'

/** A step's own directory, removed with everything in it. Its lock says that its process lives. */
export interface Scratch extends AsyncDisposable {
  readonly dir: string
}

/** Files that a running step needs beside its file system. */
export async function openScratch(sys: Sys, stateDir: string): Promise<Scratch> {
  return await makeDirectory(sys, join(stateDir, 'steps'))
}

/** The same in memory, for secrets. */
export async function openSecretScratch(sys: Sys): Promise<Scratch> {
  return await makeDirectory(sys, MEMORY_DIR)
}

/** Removes what processes that are gone left of both. */
export async function reapScratch(sys: Sys, stateDir: string): Promise<void> {
  for (const parent of [join(stateDir, 'steps'), MEMORY_DIR]) {
    const names = await readdir(parent).catch(() => [])
    for (const name of names.filter((name) => name.startsWith(PREFIX))) {
      const dir = join(parent, name)
      const lock = takeLock(sys, dir)
      if (lock === null) continue
      await rm(dir, { recursive: true, force: true })
      closeSync(lock)
    }
  }
}

async function makeDirectory(sys: Sys, parent: string): Promise<Scratch> {
  await mkdir(parent, { recursive: true })
  for (;;) {
    const dir = join(parent, PREFIX + randomBytes(6).toString('hex'))
    await mkdir(dir, { mode: 0o700 })
    const lock = takeLock(sys, dir)
    // A reaper may have come between the two.
    if (lock === null) continue
    let open = true
    return {
      dir,
      [Symbol.asyncDispose]: async () => {
        await rm(dir, { recursive: true, force: true })
        if (open) closeSync(lock)
        open = false
      },
    }
  }
}

/** The locked directory's descriptor; null where another process has it, or it is gone. */
function takeLock(sys: Sys, dir: string): number | null {
  let fd: number
  try {
    fd = openSync(dir, 'r')
  } catch {
    return null
  }
  if (sys.tryLock(fd, 'exclusive') && statSync(dir, { throwIfNoEntry: false })?.ino === fstatSync(fd).ino) return fd
  closeSync(fd)
  return null
}
