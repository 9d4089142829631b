import type { RolloutId, WorkerId } from '#domain/ids'
import type { Rollout } from '#domain/rollout'
import { Bell } from '#host/bell'
import type { Logger } from '#host/log'
import type { Store } from '#store/contract'

const LEASE_MS = 15_000
const RENEW_MS = 4000
/** Rollouts whose worker died are found by looking. */
const LOOK_AGAIN_MS = 2000

export interface RolloutService {
  store: Store
  worker: WorkerId
  runRollout: (rollout: Rollout, signal: AbortSignal) => Promise<void>
  log: Logger
}

/** Runs rollouts, as many at once as there are targets, until the signal aborts; then frees what it held. */
export async function serveRollouts(service: RolloutService, signal: AbortSignal): Promise<void> {
  const { store, worker, log } = service
  const running = new Map<RolloutId, Promise<void>>()
  const bell = new Bell()
  const listening = ringOnChange(store, bell, signal)
  while (!signal.aborted) {
    try {
      for (;;) {
        const rollout = await store.rollouts.claim(worker, LEASE_MS, Date.now())
        if (!rollout) break
        const { id } = rollout
        running.set(
          id,
          runOne(service, rollout, signal).finally(() => {
            running.delete(id)
            bell.ring()
          }),
        )
      }
    } catch (error) {
      log.warn({ err: error }, 'rollouts cannot be claimed')
    }
    await bell.wait(AbortSignal.any([signal, AbortSignal.timeout(LOOK_AGAIN_MS)]))
  }
  await Promise.all(running.values())
  await listening
  await store.rollouts.reclaimFrom(worker)
}

async function runOne(service: RolloutService, rollout: Rollout, signal: AbortSignal): Promise<void> {
  const { store, worker, log } = service
  const lost = new AbortController()
  const timer = setInterval(() => {
    store.rollouts.renew(rollout.id, worker, LEASE_MS, Date.now()).then(
      (isHeld) => (isHeld ? undefined : lost.abort(new Error('the rollout is lost to another worker'))),
      (error: unknown) => log.warn({ err: error, rollout: rollout.id }, 'rollout lease not renewed'),
    )
  }, RENEW_MS)
  try {
    await service.runRollout(rollout, AbortSignal.any([signal, lost.signal]))
    log.info({ rollout: rollout.id, image: rollout.image }, 'rollout ended')
  } catch (error) {
    log.error({ err: error, rollout: rollout.id }, 'rollout could not be reported')
  } finally {
    clearInterval(timer)
  }
}

async function ringOnChange(store: Store, bell: Bell, signal: AbortSignal): Promise<void> {
  for await (const rollout of store.rollouts.watch(signal)) if (rollout.status === 'pending') bell.ring()
}
