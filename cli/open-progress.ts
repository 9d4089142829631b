import { environmentValue } from '#host/config'
import type { BuildFlags } from './build-flags.ts'
import { createProgress } from './create-progress.ts'
import { UsageError } from './exit-codes.ts'
import type { Progress, ProgressOptions, ProgressView } from './progress.ts'
import { createPlainView } from './progress-plain.ts'
import { createRawView } from './progress-rawjson.ts'
import { createTerminalView } from './progress-tty.ts'

const FORMS = ['auto', 'none', 'plain', 'quiet', 'rawjson', 'tty'] as const
export type ProgressForm = (typeof FORMS)[number]

/** `--progress`, or `BUILDKIT_PROGRESS` of the environment; `-q` is quiet. */
export function readProgressForm({ progress, quiet }: Pick<BuildFlags, 'progress' | 'quiet'>): ProgressForm {
  const text = progress ?? (environmentValue('BUILDKIT_PROGRESS') || 'auto')
  const form = FORMS.find((one) => one === text)
  const where = progress === undefined ? 'BUILDKIT_PROGRESS' : '--progress'
  if (!form) throw new UsageError(`${where} "${text}" is unknown: expected one of ${FORMS.join(', ')}`)
  if (!quiet) return form
  if (progress !== undefined && form !== 'auto' && form !== 'quiet')
    throw new UsageError(`--progress=${form} and --quiet cannot be used together`)
  return 'quiet'
}

/** What the build is shown with on standard error. Where there is no terminal to draw on, `tty` is plain, too. */
export function openProgress(form: ProgressForm, signal: AbortSignal): Progress {
  const now = (): number => Date.now()
  return createProgress(openView(form, now), now, signal)
}

function openView(form: ProgressForm, now: () => number): ProgressView {
  const output = process.stderr
  const isTerminal = output.isTTY && environmentValue('TERM') !== 'dumb'
  // https://no-color.org: any value but an empty one.
  const colors = isTerminal && !environmentValue('NO_COLOR')
  const options: ProgressOptions = { output, now, colors }
  switch (form) {
    case 'auto':
    case 'tty':
      return isTerminal ? createTerminalView(options) : createPlainView({ ...options, colors: false })
    case 'plain':
      return createPlainView({ ...options, colors: false })
    case 'rawjson':
      return createRawView(options)
    case 'quiet':
    case 'none':
      return { draw: async () => {}, close: async () => {} }
    default:
      return form satisfies never
  }
}
