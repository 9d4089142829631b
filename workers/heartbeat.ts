import { hostname } from 'node:os'
import type { BuildId, WorkerId } from '#domain/ids'
import type { Logger } from '#host/log'
import type { Store } from '#store/contract'

const BEAT_MS = 5000
const TTL_MS = 20_000

export interface Heartbeat {
  store: Store
  worker: WorkerId
  capacity: number
  running: () => BuildId[]
  /** Why it takes no builds; null where it does. */
  problem: () => string | null
  log: Logger
}

/** Says that this worker lives, until disposed; then it leaves. */
export async function startHeartbeat(heartbeat: Heartbeat): Promise<AsyncDisposable> {
  const { store, worker, capacity, running, problem, log } = heartbeat
  const startedAtMs = Date.now()
  const fixed = { id: worker, host: hostname(), version: process.version, startedAtMs, capacity }
  const beat = () =>
    store.workers.beat({ ...fixed, seenAtMs: Date.now(), running: running(), problem: problem() }, TTL_MS)
  await beat()
  const timer = setInterval(() => {
    beat().catch((error: unknown) => log.warn({ err: error }, 'beat failed'))
  }, BEAT_MS)
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      await store.workers.leave(worker)
    },
  }
}
