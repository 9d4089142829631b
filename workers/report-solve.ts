import type { PlanWarning, SolveEvent, StepOutcome } from '#buildkit-lite'
import { warningLine } from '#domain/build'
import type { BuildEvent } from '#domain/build-event'
import { StepId } from '#domain/ids'
import type { Reporter } from './reporter.ts'

type StepFinished = Extract<BuildEvent, { kind: 'step-finished' }>

/** Turns what the solver says into the build's events; steps get ids of their attempt. */
export function reportSolve(
  reporter: Reporter,
  attempt: number,
  now: () => number,
): (event: SolveEvent) => Promise<void> {
  const idOf = (step: number) => StepId.parse(`stp_${String(attempt).padStart(3, '0')}${String(step).padStart(6, '0')}`)
  const operations: string[] = []
  return async (event) => {
    switch (event.kind) {
      case 'planned': {
        operations.push(...event.plan.steps.map((step) => step.operation.kind))
        const steps = event.plan.steps.map(({ stage, title, line }, index) => ({ id: idOf(index), stage, title, line }))
        reporter.event({ kind: 'planned', atMs: now(), steps })
        return reportWarnings(reporter, event.plan.warnings, now())
      }
      case 'warned':
        return reportWarnings(reporter, event.warnings, now())
      case 'step-started':
        reporter.event({
          kind: 'step-started',
          atMs: now(),
          step: idOf(event.step),
          missReason: event.missReason,
        })
        return
      case 'output':
        await reporter.output(idOf(event.step), event.stream, event.bytes)
        return
      case 'step-finished': {
        const step = idOf(event.step)
        reporter.endStep(step)
        const ended = endOf(event.outcome, operations[event.step] === 'run')
        reporter.event({ kind: 'step-finished', atMs: now(), step, ...ended })
        return
      }
      default:
        event satisfies never
    }
  }
}

/** A build's record is written anew at each event: it keeps so much of what a careless Dockerfile gives rise to. */
const MAX_WARNINGS = 50
const MAX_MESSAGE_CHARS = 1000

/** Each has a line of the log, too, for whoever reads only that. */
function reportWarnings(reporter: Reporter, all: readonly PlanWarning[], atMs: number): void {
  if (all.length === 0) return
  const warnings = all
    .slice(0, MAX_WARNINGS)
    .map((warning) => ({ ...warning, message: warning.message.slice(0, MAX_MESSAGE_CHARS) }))
  reporter.event({ kind: 'warnings', atMs, warnings })
  for (const warning of warnings) reporter.system(warningLine(warning))
  const more = all.length - warnings.length
  if (more > 0) reporter.system(`Warning: ${more} more warnings are not shown`)
}

function endOf(outcome: StepOutcome, hasExitCode: boolean): Pick<StepFinished, 'status' | 'cached' | 'exitCode'> {
  switch (outcome.kind) {
    case 'cached':
      return { status: 'succeeded', cached: true, exitCode: null }
    case 'done':
      return { status: 'succeeded', cached: false, exitCode: hasExitCode ? 0 : null }
    case 'failed':
      return { status: 'failed', cached: false, exitCode: outcome.exitCode }
    case 'cancelled':
      return { status: 'cancelled', cached: false, exitCode: null }
    default:
      return outcome satisfies never
  }
}
