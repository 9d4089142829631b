import { messageOf, SourceError } from '#domain/errors'
import type { Progress, Warning } from './progress.ts'

const RULE = '------'

/** What failed steps printed last, the place in the Dockerfile, and what went wrong. */
export function describeFailure(error: unknown, failures: Progress['failures']): string {
  const tails = failures.flatMap(({ name, lines }) => [` > ${name}:`, ...lines, RULE])
  const excerpt = error instanceof SourceError ? [error.excerpt] : []
  return [
    ...(tails.length > 0 ? [RULE, ...tails] : []),
    ...excerpt,
    `ERROR: failed to build: failed to solve: ${messageOf(error)}`,
    '',
  ].join('\n')
}

/** ` 2 warnings found:` with a line for each; at length, each has its place and where it is explained. */
export function describeWarnings(warnings: readonly Warning[], isLong: boolean): string {
  if (warnings.length === 0) return ''
  const count = warnings.length === 1 ? '1 warning' : `${warnings.length} warnings`
  const lines = warnings.flatMap(({ rule, message, line, description, url, excerpt }) => [
    ` - ${rule}: ${message} (line ${line})`,
    ...(isLong ? [description, ...(url === '' ? [] : [`More info: ${url}`]), excerpt, ''] : []),
  ])
  return ['', ` ${count} found${isLong ? '' : ' (use --debug to expand)'}:`, ...lines, ''].join('\n')
}
