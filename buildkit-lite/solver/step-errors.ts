import { BuildErrorKind, messageOf, SlipwayError, SourceError, toBuildError } from '#domain/errors'
import { isDiskFullError } from '#host/disk-space'
import type { StepOutcome } from '../contract.ts'
import { renderExcerpt, type SourceText } from '../dockerfile/errors.ts'
import type { PlanStep } from '../plan/plan.ts'
import { ProcessError } from './process-error.ts'

/** Ends that have nothing to do with where in the Dockerfile they were met. */
const FROM_OUTSIDE: readonly BuildErrorKind[] = ['cancelled', 'timed-out', 'no-output', 'worker-lost']

/** A step's failure, shown where the step stands in the Dockerfile. A fault of our code keeps its own stack. */
export function locateError(error: unknown, step: PlanStep, source: SourceText): unknown {
  const isFull = error instanceof SlipwayError && error.kind === 'disk-full'
  if (!isFull && isDiskFullError(error)) {
    const message = `No space is left for ${step.title}`
    return locateError(new SlipwayError('disk-full', message, { cause: error }), step, source)
  }
  const impossible = error instanceof SlipwayError ? null : impossiblePath(error)
  if (impossible !== null)
    return locateError(new SlipwayError('step-failed', impossible, { cause: error }), step, source)
  if (!(error instanceof SlipwayError) || error instanceof SourceError || step.line === null) return error
  const kind = error.kind === 'invalid' ? 'step-failed' : BuildErrorKind.safeParse(error.kind).data
  if (!kind || FROM_OUTSIDE.includes(kind)) return error
  const excerpt = renderExcerpt(source, { first: step.line, last: step.lastLine ?? step.line })
  return new SourceError(kind, error.message, { file: source.name, line: step.line, excerpt }, { cause: error })
}

/** What a path has that the system takes none with; null for any other error. Where we keep files is nobody's concern. */
function impossiblePath(error: unknown): string | null {
  if (!(error instanceof Error)) return null
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'ENAMETOOLONG')
    return 'file name too long: a name may have 255 bytes, and a path somewhat less than 4096 below all its directories'
  const hasNul = code === 'ERR_INVALID_ARG_VALUE' && message.includes('null bytes')
  return hasNul ? 'a path has a NUL byte in it, which no file name may have' : null
}

/** What a failed step is reported as. */
export function failedOutcome(error: unknown): StepOutcome {
  const cause = error instanceof SourceError ? error.cause : error
  const exitCode = cause instanceof ProcessError ? cause.exitCode : null
  return { kind: 'failed', error: toBuildError(error).kind, message: messageOf(error), exitCode }
}

/** Why a build was stopped from outside, as its error. */
export function cancelledError(reason: unknown): SlipwayError {
  if (reason instanceof SlipwayError) return reason
  return new SlipwayError('cancelled', `The build was cancelled: ${messageOf(reason)}`, { cause: reason })
}
