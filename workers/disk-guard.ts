import type { WorkerId } from '#domain/ids'
import { type DiskSpace, diskSpace, formatBytes } from '#host/disk-space'
import type { Logger } from '#host/log'
import type { Store } from '#store/contract'

/** Garbage is collected again after so many looks at a disk that stays full. */
const COLLECT_EVERY = 12
const WAITS_FOR = 'disk space: '

export interface DiskGuardOptions {
  store: Store
  worker: WorkerId
  dataDir: string
  /** Null is 2 GB, at most 5 % of the disk. */
  minFreeBytes: number | null
  collect: () => Promise<void>
  log: Logger
  space?: (path: string) => Promise<DiskSpace>
}

/** Keeps builds from being taken where they would find a full disk. */
export interface DiskGuard {
  /** Why this worker takes no builds; null where there is space. */
  problem(): string | null
  /** Told when that changes. */
  onChange(listener: (problem: string | null) => void): Disposable
  /** Looks; collects garbage where space is short, and tells queued builds that wait for it. */
  check(): Promise<void>
}

export function createDiskGuard(options: DiskGuardOptions): DiskGuard {
  const { worker, dataDir, collect, log, space = diskSpace } = options
  const listeners = new Set<(problem: string | null) => void>()
  let problem: string | null = null
  let looks = 0
  const look = async (): Promise<string | null> => {
    const { freeBytes, totalBytes } = await space(dataDir)
    const needed = options.minFreeBytes ?? Math.min(2e9, 0.05 * totalBytes)
    if (freeBytes >= needed) return null
    const state = `${formatBytes(freeBytes)} free on ${dataDir}, needs ${formatBytes(needed)}`
    return `worker ${worker} has ${state}; run slipway gc or make space there`
  }
  const change = (now: string | null): void => {
    const changed = (now === null) !== (problem === null)
    problem = now
    if (!changed) return
    log.warn({ problem }, now === null ? 'there is space again: builds are taken' : 'no builds are taken')
    for (const listener of listeners) listener(now)
  }
  return {
    problem: () => problem,
    onChange: (listener) => {
      listeners.add(listener)
      return { [Symbol.dispose]: () => void listeners.delete(listener) }
    },
    async check() {
      const wasShort = problem !== null
      let now = await look()
      if (now !== null && looks++ % COLLECT_EVERY === 0) {
        await collect().catch((error: unknown) => log.warn({ err: error }, 'garbage not collected'))
        now = await look()
      }
      if (now === null) looks = 0
      change(now)
      if (now !== null || wasShort) await tellQueued(options, now)
    },
  }
}

/** Builds wait for space only where no other worker could take them. */
async function tellQueued({ store, worker }: DiskGuardOptions, problem: string | null): Promise<void> {
  const workers = await store.workers.list()
  const isOurs = workers.every((one) => one.id === worker || typeof one.problem === 'string')
  const reason = problem !== null && isOurs ? WAITS_FOR + problem : null
  for (const { id, waitingFor } of await store.builds.queued()) {
    const waits = waitingFor?.startsWith(WAITS_FOR) === true
    if (reason !== null && !waits) await store.builds.sayWaiting(id, reason, Date.now())
    if (reason === null && waits && waitingFor.includes(worker))
      await store.builds.sayWaiting(id, 'a free worker', Date.now())
  }
  if (problem === null) await store.builds.sweep()
}
