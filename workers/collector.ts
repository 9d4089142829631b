import { openBuildStores, tryCollectGarbage } from '#buildkit-lite'
import type { Config } from '#host/config'
import type { Logger } from '#host/log'
import { openSnapshotStore } from '#sandbox'

/** Not more often, however many builds end. */
const MIN_PAUSE_MS = 60_000
/** Also where no build ends: what was used long ago goes, and others fill the disk. */
const MAX_PAUSE_MS = 10 * 60_000
/** Where looking at everything takes long, it takes at most this part of the time. */
const MAX_SHARE = 1 / 20

export interface Collector {
  /** Something was built: the next `collectIfDue` collects. */
  built(): void
  /** Collects garbage once a minute at most while builds end, else every ten minutes. */
  collectIfDue(): Promise<void>
  /** Collects now, unless another process of this data directory is at it. */
  collect(): Promise<void>
}

export function createCollector({ dataDir, cacheLimits: limits }: Config, log: Logger, signal: AbortSignal): Collector {
  const stores = [openSnapshotStore(dataDir), ...openBuildStores(dataDir)]
  let isDue = true
  let endedAtMs = 0
  let tookMs = 0
  const collect = async (): Promise<void> => {
    isDue = false
    const startedAtMs = performance.now()
    const report = await tryCollectGarbage({ dataDir, stores, limits, dryRun: false }, signal)
    endedAtMs = Date.now()
    tookMs = performance.now() - startedAtMs
    if (!report || report.removed.length === 0) return
    const { removed, removedBytes, keptBytes, freeBytes } = report
    const durationMs = Math.round(tookMs)
    log.info({ removed: removed.length, removedBytes, keptBytes, freeBytes, durationMs }, 'garbage collected')
  }
  return {
    built: () => {
      isDue = true
    },
    collect,
    async collectIfDue() {
      const pauseMs = Date.now() - endedAtMs
      if (pauseMs >= Math.max(isDue ? MIN_PAUSE_MS : MAX_PAUSE_MS, tookMs / MAX_SHARE)) await collect()
    },
  }
}
