import type { Logger } from '#host/log'
import type { Store } from '#store/contract'
import type { Collector } from './collector.ts'
import type { DiskGuard } from './disk-guard.ts'
import type { GitMirrors } from './git-mirror.ts'

/** A build that lost so many workers is what kills them. */
export const MAX_LOSSES = 3
const RECLAIM_MS = 5000
const SWEEP_MS = 30_000
const DISK_MS = 5000
const COLLECT_MS = 10_000
const CLEAN_MS = 60 * 60_000
const UNUSED_MS = 30 * 24 * 60 * 60_000

export interface Janitor {
  store: Store
  mirrors: GitMirrors
  guard: DiskGuard
  collector: Collector
  log: Logger
}

/** What nobody asks for and somebody has to do; every worker does it, and twice does no harm. */
export function startJanitor({ store, mirrors, guard, collector, log }: Janitor): Disposable {
  const reclaim = async () => {
    const builds = await store.builds.reclaimExpired(Date.now(), MAX_LOSSES)
    if (builds.length === 0) return
    log.warn({ builds }, 'builds of lost workers reclaimed')
    // Those that are not tried again may have been what others waited for.
    await store.builds.sweep()
  }
  const sweep = () => store.builds.sweep()
  const clean = () => mirrors.removeUnused(Date.now() - UNUSED_MS)
  const chores = [
    every(RECLAIM_MS, reclaim, log),
    every(SWEEP_MS, sweep, log),
    every(CLEAN_MS, clean, log),
    every(DISK_MS, () => guard.check(), log),
    every(COLLECT_MS, () => collector.collectIfDue(), log),
  ]
  return { [Symbol.dispose]: () => void chores.map((stop) => stop()) }
}

/** Does a chore now and then, never twice at once. */
function every(periodMs: number, chore: () => Promise<unknown>, log: Logger): () => void {
  let timer: NodeJS.Timeout | null = null
  let isStopped = false
  const round = async () => {
    await chore().catch((error: unknown) => log.warn({ err: error }, 'chore failed'))
    if (!isStopped) timer = setTimeout(() => void round(), periodMs)
  }
  void round()
  return () => {
    isStopped = true
    if (timer) clearTimeout(timer)
  }
}
