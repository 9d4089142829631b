import { SlipwayError } from '#domain/errors'
import type { Builds, Claim } from '#store/contract'

/** Keeps a claim by renewing its lease, and says when it is lost. */
export interface HeldClaim extends AsyncDisposable {
  /** Aborts with kind `conflict` once the claim is lost. */
  readonly lost: AbortSignal
}

export function holdClaim(builds: Pick<Builds, 'renew'>, claim: Claim, leaseMs: number): HeldClaim {
  const controller = new AbortController()
  const stopped = new AbortController()
  const holding = keepRenewing(builds, claim, { leaseMs, controller, stop: stopped.signal })
  return {
    lost: controller.signal,
    async [Symbol.asyncDispose]() {
      stopped.abort()
      await holding
    },
  }
}

interface Holding {
  leaseMs: number
  controller: AbortController
  stop: AbortSignal
}

async function keepRenewing(builds: Pick<Builds, 'renew'>, claim: Claim, holding: Holding): Promise<void> {
  const { leaseMs, controller, stop } = holding
  let heldUntilMs = performance.now() + leaseMs
  while (!stop.aborted) {
    await pause(leaseMs / 4, stop)
    if (stop.aborted) return
    const askedAtMs = performance.now()
    try {
      if (!(await builds.renew(claim, leaseMs, Date.now()))) break
      heldUntilMs = askedAtMs + leaseMs
    } catch {
      // Redis may be back before the lease ends; after that somebody else may have the build.
      if (performance.now() >= heldUntilMs) break
    }
  }
  if (stop.aborted) return
  controller.abort(new SlipwayError('conflict', `The claim of build ${claim.build.id} is lost to another worker`))
}

/** Resolves after the time, or when the signal aborts. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, ms)
  const wake = () => resolve()
  signal.addEventListener('abort', wake, { once: true })
  await promise
  signal.removeEventListener('abort', wake)
  clearTimeout(timer)
}
