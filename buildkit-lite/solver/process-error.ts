import { constants } from 'node:os'
import { SlipwayError } from '#domain/errors'
import type { ExitStatus } from '#host/exec'
import type { ContainerSpec, ContainerUsage } from '#sandbox'
import type { RunOperation } from '../plan/plan.ts'

/** What more is known of a program that did not end well. */
interface Failure {
  exitCode: number | null
  /** The last lines that it printed, oldest first. */
  tail?: readonly string[]
  cause?: unknown
}

/** A program of the user's that did not end well. `message` is what `process "…"` is told to have done. */
export class ProcessError extends SlipwayError {
  readonly exitCode: number | null
  readonly tail: readonly string[]

  constructor(kind: 'step-failed' | 'out-of-memory', run: RunOperation, how: string, failure: Failure) {
    const { exitCode, tail = [], cause } = failure
    super(kind, `process "${run.args.join(' ')}" did not complete successfully: ${how}`, { cause })
    this.exitCode = exitCode
    this.tail = tail
  }
}

/** The error of a program that ended with another code than 0. */
export function exitError(
  run: RunOperation,
  exit: ExitStatus & { usage: ContainerUsage },
  { limits, tail }: { limits: ContainerSpec['limits']; tail: readonly string[] },
): ProcessError {
  const exitCode =
    exit.code ?? SIGNAL_BASE + (exit.signal === null ? constants.signals.SIGKILL : signalNumber(exit.signal))
  const how = `exit code: ${exitCode}${signalOf(exitCode)}`
  if (exit.usage.oomKills > 0) {
    const limit = limits.memoryBytes === null ? '' : ` of ${Math.round(limits.memoryBytes / 1024 ** 2)} MiB`
    return new ProcessError('out-of-memory', run, `${how}: it reached the memory limit${limit}`, { exitCode, tail })
  }
  return new ProcessError('step-failed', run, how + formatHint(tail), { exitCode, tail })
}

/** The error of a container that could not be started, where that is the author's to mend; else the error itself. */
export function startFailure(run: RunOperation, error: unknown): unknown {
  if (!(error instanceof SlipwayError) || error.kind !== 'step-failed') return error
  const exitCode = 'exitCode' in error && typeof error.exitCode === 'number' ? error.exitCode : null
  const code = exitCode === null ? '' : `exit code: ${exitCode}: `
  const how = `${code}${error.message}${exitCode === 127 ? shellHint(run) : ''}`
  return new ProcessError('step-failed', run, how, { exitCode, cause: error })
}

/** What shells, and runc for the first process, add to a signal's number. */
const SIGNAL_BASE = 128

const signalNumber = (name: NodeJS.Signals): number => constants.signals[name]

function signalOf(exitCode: number): string {
  const found = Object.entries(constants.signals).find(([, number]) => number === exitCode - SIGNAL_BASE)
  return found ? ` (${found[0]})` : ''
}

/** The kernel refuses files that are no program of this machine, which is the usual trouble with foreign platforms. */
function formatHint(tail: readonly string[]): string {
  if (!tail.some((line) => /exec format error/i.test(line))) return ''
  return `: the program is no executable of this machine (${process.arch}), nor a script that starts with #!`
}

function shellHint({ args }: RunOperation): string {
  if (args[1] !== '-c') return ''
  return `. The image has no ${args[0]}: write RUN ["program", "argument"], or name another shell by SHELL`
}
