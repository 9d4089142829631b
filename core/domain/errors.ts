import { z } from 'zod'

/** Why a build failed: a closed list that users and outside tools rely on. */
export const BuildErrorKind = z.enum([
  'step-failed',
  'out-of-memory',
  'timed-out',
  'no-output',
  'disk-full',
  'dockerfile-invalid',
  'context-invalid',
  'source-unavailable',
  'pull-denied',
  'pull-not-found',
  'push-denied',
  'registry-unavailable',
  'worker-lost',
  'cancelled',
  'internal',
])
export type BuildErrorKind = z.infer<typeof BuildErrorKind>

/** A build's failure as a page shows it. `line` counts from 1; `excerpt` is ready to print. */
export const BuildError = z.object({
  kind: BuildErrorKind,
  message: z.string(),
  file: z.string().optional(),
  line: z.number().int().positive().optional(),
  excerpt: z.string().optional(),
})
export type BuildError = z.infer<typeof BuildError>

export type ErrorKind =
  | BuildErrorKind
  | 'not-found'
  | 'already-exists'
  | 'conflict'
  | 'invalid'
  | 'unauthorized'
  | 'forbidden'
  | 'too-large'
  | 'too-many-requests'
  | 'unavailable'
  | 'unsupported'

/** Every error that we throw on purpose: what failed, on what, expected what, got what. */
export class SlipwayError extends Error {
  readonly kind: ErrorKind

  constructor(kind: ErrorKind, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = new.target.name
    this.kind = kind
  }
}

/** A fault that points at a place in a file the user wrote. */
export class SourceError extends SlipwayError {
  readonly file: string
  readonly line: number
  readonly excerpt: string

  constructor(
    kind: BuildErrorKind,
    message: string,
    place: { file: string; line: number; excerpt: string },
    options?: ErrorOptions,
  ) {
    super(kind, message, options)
    this.file = place.file
    this.line = place.line
    this.excerpt = place.excerpt
  }
}

/** The text of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** A thrown error as a build records it; what we did not throw on purpose is our own fault. */
export function toBuildError(error: unknown): BuildError {
  const kind = BuildErrorKind.safeParse(error instanceof SlipwayError ? error.kind : 'internal')
  const known = { kind: kind.success ? kind.data : ('internal' as const), message: messageOf(error) }
  return error instanceof SourceError ? { ...known, file: error.file, line: error.line, excerpt: error.excerpt } : known
}
