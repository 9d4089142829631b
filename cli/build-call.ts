import { type BuildRequest, checkDockerfile, listTargets, outlineDockerfile, type Registry } from '#buildkit-lite'
import { callJson } from './call-json.ts'
import { checkError, checkText, outlineText, targetsText } from './call-text.ts'
import { EXIT, UsageError } from './exit-codes.ts'

/** What `--call` asks for instead of a build. */
export interface Call {
  method: 'build' | 'check' | 'outline' | 'targets'
  format: 'text' | 'json'
  /** Whether warnings leave the exit code alone. */
  ignoreStatus: boolean
}

const METHODS: Readonly<Record<string, Call['method']>> = {
  build: 'build',
  check: 'check',
  lint: 'check',
  outline: 'outline',
  targets: 'targets',
}

/** Reads `check`, `outline,format=json`, `check,ignorestatus`; the empty text is `build`. */
export function parseCall(text: string): Call {
  const call: Call = { method: 'build', format: 'text', ignoreStatus: false }
  for (const field of text === '' ? [] : text.split(',')) {
    const [key = '', value] = field.split('=', 2)
    const method = METHODS[value === undefined ? key : key === 'type' || key === 'method' ? value : '']
    if (method) call.method = method
    else if (key === 'format' && (value === 'json' || value === 'text')) call.format = value
    else if (key === 'ignorestatus') call.ignoreStatus = value !== 'false'
    else throw new UsageError(`--call "${text}": expected build, check, outline or targets, with format=json or text`)
  }
  return call
}

export interface CallTools {
  registry: Registry
  stdout: NodeJS.WritableStream
  stderr: NodeJS.WritableStream
  /** How the Dockerfile is named to the person who asked; null for its name in the context. */
  shownFile: string | null
}

/** Answers a call other than `build`; the exit code says whether the Dockerfile is without blame. */
export async function runCall(
  call: Call,
  request: BuildRequest,
  tools: CallTools,
  signal: AbortSignal,
): Promise<number> {
  const { registry, stdout } = tools
  switch (call.method) {
    case 'check':
      return await runCheck(call, request, tools, signal)
    case 'outline': {
      const outline = await outlineDockerfile(request, { registry }, signal)
      stdout.write(call.format === 'json' ? callJson({ outline }) : outlineText(outline))
      return EXIT.done
    }
    case 'targets': {
      const targets = await listTargets(request, signal)
      stdout.write(call.format === 'json' ? callJson({ targets }) : targetsText(targets))
      return EXIT.done
    }
    case 'build':
      throw new UsageError('--call build builds')
    default:
      return call.method satisfies never
  }
}

async function runCheck(
  { format, ignoreStatus }: Call,
  request: BuildRequest,
  { registry, stdout, stderr, shownFile }: CallTools,
  signal: AbortSignal,
): Promise<number> {
  const check = await checkDockerfile(request, { registry }, signal)
  stdout.write(format === 'json' ? callJson({ check }) : checkText(check, shownFile))
  if (check.error) {
    if (format === 'text' && check.warnings.length > 0) stdout.write('\n')
    stderr.write(checkError(check.error, shownFile))
    return EXIT.failed
  }
  return check.warnings.length > 0 && !ignoreStatus ? EXIT.failed : EXIT.done
}
