import { mkdir, open, readdir, rm, utimes } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { withLock } from './file-lock.ts'
import { newId } from './new-id.ts'
import type { Sys } from './sys.ts'

/**
 * Who uses what below a data directory, so that garbage collection never takes anything from a build in flight:
 *
 * - Whoever works with kept objects holds a lease, `leases/<start>-…`, locked by flock(2) while its process lives.
 * - Every use of an object sets its time, under the shared lock of its store, at most once a minute.
 * - An object goes only under the exclusive locks of the leases and of its store, when its time is older than the oldest
 *   lease: a lease cannot begin and a use cannot be marked meanwhile, and whoever comes later does not find the object.
 *
 * The locks are the kernel's, so that those of a killed process vanish with it.
 */
const LEASES = 'leases'
/** An object is marked so often, however often it is used. */
const MARK_EVERY_MS = 60_000
/** A mark may be older than the use by the time between two marks; the rest is for clocks that are set. */
const SLACK_MS = 2 * MARK_EVERY_MS
const MAX_REMEMBERED = 20_000

/** Marks uses of the objects of one store; cheap enough to be asked each time. */
export interface UseMarks {
  /** False where there is no such object. One that was marked a moment ago is not looked at again. */
  use(path: string): Promise<boolean>
}

/** `lockPath` is the store's lock; its directory is made. */
export async function openUseMarks(sys: Sys, lockPath: string): Promise<UseMarks> {
  await mkdir(dirname(lockPath), { recursive: true })
  const marked = new Map<string, number>()
  return {
    async use(path) {
      const nowMs = Date.now()
      const age = nowMs - (marked.get(path) ?? 0)
      if (age >= 0 && age < MARK_EVERY_MS) return true
      const isThere = await withLock(sys, lockPath, 'shared', () => touch(path, nowMs))
      if (marked.size >= MAX_REMEMBERED) marked.clear()
      if (isThere) marked.set(path, nowMs)
      else marked.delete(path)
      return isThere
    },
  }
}

async function touch(path: string, nowMs: number): Promise<boolean> {
  try {
    await utimes(path, nowMs / 1000, nowMs / 1000)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}

/** From now on nothing goes that its holder uses, until it is disposed or its process ends. */
export async function openLease(sys: Sys, dataDir: string): Promise<AsyncDisposable> {
  const lock = await leasesLock(dataDir)
  const path = join(dataDir, LEASES, newId(`${Date.now()}-`))
  const file = await withLock(sys, lock, 'shared', async () => {
    const made = await open(path, 'wx', 0o600)
    sys.tryLock(made.fd, 'exclusive')
    return made
  })
  let isOpen = true
  return {
    async [Symbol.asyncDispose]() {
      if (!isOpen) return
      isOpen = false
      await rm(path, { force: true })
      await file.close()
    },
  }
}

/**
 * Runs `work` while no lease begins and, where the store's lock is given, none of its objects is marked. What was marked
 * at `usedSinceMs` or later is in use.
 */
export async function whileNobodyBegins<T>(
  sys: Sys,
  { dataDir, storeLock }: { dataDir: string; storeLock: string | null },
  work: (usedSinceMs: number) => Promise<T>,
): Promise<T> {
  const lock = await leasesLock(dataDir)
  return await withLock(sys, lock, 'exclusive', async () => {
    const usedSinceMs = (await oldestLease(sys, dataDir)) - SLACK_MS
    if (storeLock === null) return await work(usedSinceMs)
    await mkdir(dirname(storeLock), { recursive: true })
    return await withLock(sys, storeLock, 'exclusive', () => work(usedSinceMs))
  })
}

async function leasesLock(dataDir: string): Promise<string> {
  await mkdir(join(dataDir, LEASES), { recursive: true, mode: 0o700 })
  return join(dataDir, LEASES, 'lock')
}

/** When the oldest lease of a live process began; infinity where there is none. Removes those of dead ones. */
async function oldestLease(sys: Sys, dataDir: string): Promise<number> {
  let oldestMs = Number.POSITIVE_INFINITY
  for (const name of await readdir(join(dataDir, LEASES))) {
    const startedAtMs = Number(/^(\d+)-/.exec(name)?.[1] ?? Number.NaN)
    if (Number.isNaN(startedAtMs)) continue
    const path = join(dataDir, LEASES, name)
    const file = await open(path, 'r').catch(() => null)
    if (file === null) continue
    await using _ = file
    if (sys.tryLock(file.fd, 'exclusive')) await rm(path, { force: true })
    else oldestMs = Math.min(oldestMs, startedAtMs)
  }
  return oldestMs
}
