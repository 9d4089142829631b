import type { BuildEvent } from '#domain/build-event'
import { messageOf, SlipwayError, toBuildError } from '#domain/errors'
import type { Logger } from '#host/log'
import type { Claim, Store } from '#store/contract'
import type { Reporter } from './reporter.ts'

export interface EndingBuild {
  store: Store
  claim: Claim
  reporter: Reporter
  now: () => number
  log: Logger
}

/** Ends a build that did not succeed, as what stopped it says. */
export async function endBuild({ store, claim, reporter, now, log }: EndingBuild, cause: unknown): Promise<void> {
  const kind = cause instanceof SlipwayError ? cause.kind : 'internal'
  // Somebody else has the build, or it is gone with its project: nothing that we write would be right.
  if (kind === 'conflict') return
  await reporter.drain()
  if (kind === 'unavailable') return store.builds.release(claim, messageOf(cause), now())
  const error = toBuildError(cause)
  // Users see the message; what went wrong with us is for the operators.
  if (error.kind === 'internal') log.error({ err: cause }, 'build failed by our own fault')
  endSteps(claim, reporter, now())
  reporter.system(kind === 'cancelled' ? `Cancelled: ${error.message}` : `Failed: ${error.message}`)
  const status = kind === 'cancelled' ? 'cancelled' : 'failed'
  reporter.event({ kind: 'finished', atMs: now(), status, error })
  await reporter.drain()
}

/** No step runs on after its build. */
function endSteps({ build }: Claim, reporter: Reporter, atMs: number): void {
  for (const { id: step, status } of build.steps) {
    if (status !== 'running') continue
    reporter.endStep(step)
    const ended: BuildEvent = { kind: 'step-finished', atMs, step, status: 'cancelled', cached: false, exitCode: null }
    reporter.event(ended)
  }
}
