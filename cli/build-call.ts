import {
  type BuildRequest,
  type CheckResult,
  checkDockerfile,
  listTargets,
  outlineDockerfile,
  type Registry,
} from '#buildkit-lite'
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
  /** How a file is named to the person who asked, by its name in the context. */
  shownName: (name: string) => string
}

/** What a call prints, and what the command ends with. */
export interface CallAnswer {
  code: number
  stdout: string
  stderr: string
  /** The answer as JSON, whichever form was asked for. */
  json: string
}

/** Answers a call other than `build`; the exit code says whether the Dockerfile is without blame. */
export async function runCall(
  call: Call,
  request: BuildRequest,
  tools: CallTools,
  signal: AbortSignal,
): Promise<CallAnswer> {
  const { registry } = tools
  switch (call.method) {
    case 'check':
      return answerCheck(call, await checkDockerfile(request, { registry }, signal), tools)
    case 'outline': {
      const outline = await outlineDockerfile(request, { registry }, signal)
      return answerWith(call, callJson({ outline }), outlineText(outline))
    }
    case 'targets': {
      const targets = await listTargets(request, signal)
      return answerWith(call, callJson({ targets }), targetsText(targets))
    }
    case 'build':
      throw new UsageError('--call build builds')
    default:
      return call.method satisfies never
  }
}

function answerWith({ format }: Call, json: string, text: string): CallAnswer {
  return { code: EXIT.done, stdout: format === 'json' ? json : text, stderr: '', json }
}

function answerCheck(call: Call, check: CheckResult, { shownName }: CallTools): CallAnswer {
  const { error, warnings } = check
  const answer = answerWith(call, callJson({ check }), checkText(check, shownName))
  if (!error) return { ...answer, code: warnings.length > 0 && !call.ignoreStatus ? EXIT.failed : EXIT.done }
  const gap = call.format === 'text' && warnings.length > 0 ? '\n' : ''
  return { ...answer, code: EXIT.failed, stdout: answer.stdout + gap, stderr: checkError(error, shownName) }
}
