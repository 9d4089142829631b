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

interface Running {
  rollout: Rollout
  superseded: AbortController
  done: Promise<void>
}

/** Runs rollouts, as many at once as there are targets, until the signal aborts; then frees what it held. */
export async function serveRollouts(service: RolloutService, signal: AbortSignal): Promise<void> {
  const { store, worker, log } = service
  const running = new Map<RolloutId, Running>()
  const bell = new Bell()
  const listening = listen(service, running, bell, signal)
  while (!signal.aborted) {
    try {
      for (;;) {
        const rollout = await store.rollouts.claim(worker, LEASE_MS, Date.now())
        // What is claimed at the last moment is freed with the rest.
        if (!rollout || signal.aborted) break
        const superseded = new AbortController()
        const done = runOne(service, rollout, AbortSignal.any([signal, superseded.signal])).finally(() => {
          running.delete(rollout.id)
          bell.ring()
        })
        running.set(rollout.id, { rollout, superseded, done })
      }
    } catch (error) {
      log.warn({ err: error }, 'rollouts cannot be claimed')
    }
    await bell.wait(AbortSignal.any([signal, AbortSignal.timeout(LOOK_AGAIN_MS)]))
  }
  await Promise.all([...running.values()].map(({ done }) => done))
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
    log.info({ rollout: rollout.id, image: rollout.image, stopped: signal.aborted }, 'rollout ended')
  } catch (error) {
    log.error({ err: error, rollout: rollout.id }, 'rollout could not be reported')
  } finally {
    clearInterval(timer)
    // Free already where it has ended; the next claim takes one that was stopped, or a newer one instead.
    await store.rollouts
      .release(rollout.id, worker)
      .catch((error: unknown) => log.warn({ err: error, rollout: rollout.id }, 'rollout lease not released'))
  }
}

/** A newer image for the same container ends a rollout at once; whoever claims the newer one says so. */
async function listen(
  { store }: RolloutService,
  running: ReadonlyMap<RolloutId, Running>,
  bell: Bell,
  signal: AbortSignal,
): Promise<void> {
  for await (const newer of store.rollouts.watch(signal)) {
    if (newer.status !== 'pending') continue
    for (const { rollout, superseded } of running.values())
      if (rollout.id !== newer.id && isSameTarget(rollout, newer)) superseded.abort(new Error('a newer image comes'))
    bell.ring()
  }
}

function isSameTarget({ target: one }: Rollout, { target: other }: Rollout): boolean {
  const { namespace, deployment, container } = other
  return one.namespace === namespace && one.deployment === deployment && one.container === container
}
