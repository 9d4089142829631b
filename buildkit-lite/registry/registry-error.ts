import { type BuildErrorKind, messageOf, SlipwayError } from '#domain/errors'

/** A registry that did not do what we asked. */
export class RegistryError extends SlipwayError {
  /** Null where no answer came at all. */
  readonly status: number | null
  /** Whether the same request may well work in a moment. */
  readonly isPassing: boolean

  constructor(
    kind: BuildErrorKind,
    message: string,
    details: { status?: number; isPassing?: boolean; cause?: unknown } = {},
  ) {
    super(kind, message, details.cause === undefined ? {} : { cause: details.cause })
    this.status = details.status ?? null
    this.isPassing = details.isPassing ?? false
  }
}

/** What we were doing, in words: `pulling docker.io/library/debian:12`. */
export interface Task {
  direction: 'pull' | 'push'
  registry: string
  repository: string
  /** A tag, a digest, or the like. */
  subject: string
}

export function describe(task: Task): string {
  const verb = task.direction === 'pull' ? 'Pulling' : 'Pushing'
  return `${verb} ${task.registry}/${task.repository} (${task.subject})`
}

/** The error for an answer with an unexpected status. `said` is the registry's own code and text. */
export function errorOfStatus(task: Task, status: number, said: string): RegistryError {
  const message = `${describe(task)} failed: the registry answered ${status}${said ? ` ${said}` : ''}`
  const isPassing = status === 408 || status === 429 || status >= 500
  return new RegistryError(kindOf(task, status, isPassing), message, { status, isPassing })
}

/** The error for a request that got no answer, or not all of it. */
export function errorOfConnection(task: Task, cause: unknown): RegistryError {
  const why =
    cause instanceof Error && 'code' in cause && messageOf(cause) === '' ? String(cause.code) : messageOf(cause)
  return new RegistryError('registry-unavailable', `${describe(task)} failed: ${why}`, { isPassing: true, cause })
}

function kindOf(task: Task, status: number, isPassing: boolean): BuildErrorKind {
  if (isPassing) return 'registry-unavailable'
  if (task.direction === 'push') return 'push-denied'
  if (status === 401 || status === 403) return 'pull-denied'
  return status === 404 ? 'pull-not-found' : 'registry-unavailable'
}
