import { messageOf, SlipwayError, SourceError } from '#domain/errors'
import type { StepOutcome } from '../contract.ts'
import { renderExcerpt, type SourceText } from '../dockerfile/errors.ts'
import type { PlanStep } from '../plan/plan.ts'
import { ProcessError } from './execute-run.ts'

/** A step's failure, shown where it stands in the Dockerfile if it is the author's to mend. */
export function locateError(error: unknown, step: PlanStep, source: SourceText): unknown {
  if ((error as NodeJS.ErrnoException | null)?.code === 'ENOSPC')
    return new SlipwayError('disk-full', `No space is left for ${step.title}`, { cause: error })
  if (!(error instanceof SlipwayError) || error instanceof SourceError || step.line === null) return error
  switch (error.kind) {
    case 'step-failed':
    case 'out-of-memory':
    case 'context-invalid':
    case 'dockerfile-invalid': {
      const excerpt = renderExcerpt(source, { first: step.line, last: step.line })
      const place = { file: source.name, line: step.line, excerpt }
      return new SourceError(error.kind, error.message, place, { cause: error })
    }
    case 'invalid':
      return locateError(new SlipwayError('step-failed', error.message, { cause: error }), step, source)
    default:
      return error
  }
}

/** What a failed step is reported as. */
export function failedOutcome(error: unknown): StepOutcome {
  const root = error instanceof SourceError ? error.cause : error
  const exitCode = root instanceof ProcessError ? root.exitCode : null
  const kind = error instanceof SourceError ? error.kind : 'internal'
  switch (kind) {
    case 'step-failed':
    case 'out-of-memory':
    case 'context-invalid':
    case 'dockerfile-invalid':
      return { kind: 'failed', error: kind, message: messageOf(error), exitCode }
    default:
      return { kind: 'failed', error: 'internal', message: messageOf(error), exitCode }
  }
}

/** Why a build was stopped from outside, as its error. */
export function cancelledError(reason: unknown): SlipwayError {
  if (reason instanceof SlipwayError) return reason
  return new SlipwayError('cancelled', `The build was cancelled: ${messageOf(reason)}`, { cause: reason })
}
