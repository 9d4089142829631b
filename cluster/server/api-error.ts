import { type ErrorKind, messageOf, SlipwayError } from '#domain/errors'
import type { JsonObject } from './json.ts'
import { qualifiedKind, qualifiedPlural, type Resource } from './resources.ts'

/** One field that is wrong. */
export interface Cause {
  reason: string
  /** Without the field's name. */
  message: string
  field: string
}

interface Details {
  name?: string
  group?: string
  kind?: string
  uid?: string
  causes?: Cause[]
}

/** An error as clients of the API read it: a Status object. https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/ */
export class ApiError extends SlipwayError {
  readonly code: number
  readonly reason: string
  readonly details: Details | undefined

  constructor(code: number, reason: string, message: string, details?: Details) {
    super(KINDS[code] ?? 'internal', message)
    this.code = code
    this.reason = reason
    this.details = details
  }

  toStatus(): JsonObject {
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: this.message,
      ...(this.reason ? { reason: this.reason } : {}),
      ...(this.details ? { details: this.details as unknown as JsonObject } : {}),
      code: this.code,
    }
  }
}

const KINDS: Record<number, ErrorKind> = {
  400: 'invalid',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not-found',
  409: 'conflict',
  410: 'unavailable',
  413: 'too-large',
  415: 'unsupported',
  422: 'invalid',
  501: 'unsupported',
  503: 'unavailable',
}

export function badRequest(message: string): ApiError {
  return new ApiError(400, 'BadRequest', message)
}

/** A path that is no resource of ours. */
export function unknownPath(): ApiError {
  return new ApiError(404, 'NotFound', 'the server could not find the requested resource', {})
}

export function tooLarge(limitBytes: number): ApiError {
  return new ApiError(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${limitBytes}`)
}

export function methodNotAllowed(): ApiError {
  return new ApiError(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource', {})
}

export function unauthorized(): ApiError {
  return new ApiError(401, 'Unauthorized', 'Unauthorized')
}

export function notAcceptable(): ApiError {
  return new ApiError(406, 'NotAcceptable', '406: Not Acceptable', {})
}

export function unsupportedBody(): ApiError {
  const accepted = 'application/json, application/yaml, application/vnd.kubernetes.protobuf'
  const message = `the body of the request was in an unknown format - accepted media types include: ${accepted}`
  return new ApiError(415, 'UnsupportedMediaType', message)
}

/** `index` counts from 0; what the server says of a version that is no longer kept. */
export function expired(asked: number, oldest: number): ApiError {
  return new ApiError(410, 'Expired', `too old resource version: ${asked} (${oldest})`)
}

export function notFound(resource: Resource, name: string): ApiError {
  return new ApiError(404, 'NotFound', `${qualifiedPlural(resource)} "${name}" not found`, about(resource, name))
}

export function alreadyExists(resource: Resource, name: string): ApiError {
  const message = `${qualifiedPlural(resource)} "${name}" already exists`
  return new ApiError(409, 'AlreadyExists', message, about(resource, name))
}

export function conflict(resource: Resource, name: string, why?: string): ApiError {
  const modified = 'the object has been modified; please apply your changes to the latest version and try again'
  const message = `Operation cannot be fulfilled on ${qualifiedPlural(resource)} "${name}": ${why ?? modified}`
  return new ApiError(409, 'Conflict', message, about(resource, name))
}

export function forbidden(resource: Resource, name: string, why: string): ApiError {
  const message = `${qualifiedPlural(resource)} "${name}" is forbidden: ${why}`
  return new ApiError(403, 'Forbidden', message, about(resource, name))
}

export function invalid(resource: Resource, name: string, causes: Cause[]): ApiError {
  const { kind, group } = resource
  const message = `${qualifiedKind(resource)} "${name}" is invalid: ${joinCauses(causes)}`
  return new ApiError(422, 'Invalid', message, { name, ...(group ? { group } : {}), kind, causes })
}

/** A query parameter or option of the request itself that is wrong, such as `dryRun`. */
export function invalidOption(kind: string, cause: Cause): ApiError {
  const message = `${kind}.meta.k8s.io "" is invalid: ${joinCauses([cause])}`
  return new ApiError(422, 'Invalid', message, { group: 'meta.k8s.io', kind, causes: [cause] })
}

function joinCauses(causes: Cause[]): string {
  const texts = causes.map(({ field, message }) => `${field}: ${message}`)
  return texts.length === 1 ? (texts[0] ?? '') : `[${texts.join(', ')}]`
}

function about({ plural, group }: Resource, name: string): Details {
  return { name, ...(group ? { group } : {}), kind: plural }
}

/** What server-side apply says where another manager owns a field that would change. */
export function fieldManagerConflict(causes: Cause[], found: string): ApiError {
  return new ApiError(409, 'Conflict', `Apply failed with ${found}`, { causes })
}

/** Anything thrown while a request about one object was served. */
export function toApiError(error: unknown, resource?: Resource, name = ''): ApiError {
  if (error instanceof ApiError) return error
  if (error instanceof SlipwayError && resource) {
    if (error.kind === 'not-found') return notFound(resource, name)
    if (error.kind === 'already-exists') return alreadyExists(resource, name)
    if (error.kind === 'conflict') return conflict(resource, name)
  }
  if (error instanceof SlipwayError && error.kind === 'invalid') return badRequest(error.message)
  if (error instanceof SlipwayError && error.kind === 'unsupported') {
    return new ApiError(501, 'NotImplemented', error.message)
  }
  return new ApiError(500, 'InternalError', `Internal error occurred: ${messageOf(error)}`)
}
