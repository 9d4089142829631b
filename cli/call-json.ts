import type { CheckResult, Outline, TargetList } from '#buildkit-lite'

/** The answer of a call as `docker buildx build --call=…,format=json` prints it. */
export function callJson(answer: { check: CheckResult } | { outline: Outline } | { targets: TargetList }): string {
  const value =
    'check' in answer
      ? checkJson(answer.check)
      : 'outline' in answer
        ? outlineJson(answer.outline)
        : targetsJson(answer.targets)
  return `${JSON.stringify(value, null, 2)}\n`
}

interface Place {
  line: number
  lastLine: number
}

function checkJson({ warnings, error, source }: CheckResult) {
  return {
    warnings: warnings.map((warning) => ({
      ruleName: warning.rule,
      description: warning.description,
      ...(warning.url === '' ? {} : { url: warning.url }),
      detail: warning.message,
      location: locationOf(warning),
    })),
    sources: [{ filename: source.name, data: base64(source.text), language: 'Dockerfile' }],
    ...(error
      ? { buildError: { message: error.message, location: locationOf({ line: error.line, lastLine: error.line }) } }
      : {}),
  }
}

function outlineJson({ name, description, args, secrets, ssh, source }: Outline) {
  const mounts = (list: Outline['secrets']) =>
    list.map((one) => ({ name: one.name, ...flag('required', one.required), location: locationOf(one) }))
  return {
    ...text('name', name),
    ...text('description', description),
    ...list(
      'args',
      args.map((arg) => ({
        name: arg.name,
        ...text('description', arg.description),
        ...text('value', arg.value),
        location: locationOf(arg),
      })),
    ),
    ...list('secrets', mounts(secrets)),
    ...list('ssh', mounts(ssh)),
    sources: [base64(source.text)],
  }
}

function targetsJson({ targets, source }: TargetList) {
  return {
    targets: targets.map((target) => ({
      ...text('name', target.name),
      ...flag('default', target.isDefault),
      ...text('description', target.description),
      ...text('base', target.base),
      ...text('platform', target.platform ?? ''),
      location: locationOf(target),
    })),
    sources: [base64(source.text)],
  }
}

/** What is empty is left out. */
function text(key: string, value: string): Record<string, string> {
  return value === '' ? {} : { [key]: value }
}

function flag(key: string, value: boolean): Record<string, boolean> {
  return value ? { [key]: true } : {}
}

function list<T>(key: string, values: readonly T[]): Record<string, readonly T[]> {
  return values.length === 0 ? {} : { [key]: values }
}

function locationOf({ line, lastLine }: Place) {
  return { ranges: [{ start: { line }, end: { line: lastLine } }] }
}

function base64(content: string): string {
  return Buffer.from(content).toString('base64')
}
