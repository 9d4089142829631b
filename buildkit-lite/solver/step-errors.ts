import { messageOf, SlipwayError, SourceError } from '#domain/errors'
import type { StepOutcome } from '../contract.ts'
import { renderExcerpt, type SourceText } from '../dockerfile/errors.ts'
import type { PlanStep } from '../plan/plan.ts'
import { ProcessError } from './process-error.ts'

/** Failures that the author of the Dockerfile can mend, or that a place in it names: they are shown there. */
const LOCATED = ['step-failed', 'out-of-memory', 'context-invalid', 'dockerfile-invalid', 'source-unavailable'] as const
type Located = (typeof LOCATED)[number]

/** A step's failure, shown where it stands in the Dockerfile if it is the author's to mend. */
export function locateError(error: unknown, step: PlanStep, source: SourceText): unknown {
  if ((error as NodeJS.ErrnoException | null)?.code === 'ENOSPC')
    return new SlipwayError('disk-full', `No space is left for ${step.title}`, { cause: error })
  if (!(error instanceof SlipwayError) || error instanceof SourceError || step.line === null) return error
  const kind = error.kind === 'invalid' ? 'step-failed' : LOCATED.find((one) => one === error.kind)
  if (!kind) return error
  const excerpt = renderExcerpt(source, { first: step.line, last: step.lastLine ?? step.line })
  return new SourceError(kind, error.message, { file: source.name, line: step.line, excerpt }, { cause: error })
}

/** What a failed step is reported as. */
export function failedOutcome(error: unknown): StepOutcome {
  const cause = error instanceof SourceError ? error.cause : error
  const exitCode = cause instanceof ProcessError ? cause.exitCode : null
  return { kind: 'failed', error: locatedKind(error) ?? 'internal', message: messageOf(error), exitCode }
}

function locatedKind(error: unknown): Located | undefined {
  return error instanceof SourceError ? LOCATED.find((kind) => kind === error.kind) : undefined
}

/** Why a build was stopped from outside, as its error. */
export function cancelledError(reason: unknown): SlipwayError {
  if (reason instanceof SlipwayError) return reason
  return new SlipwayError('cancelled', `The build was cancelled: ${messageOf(reason)}`, { cause: reason })
}
