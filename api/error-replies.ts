import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod'
import { type ErrorKind, SlipwayError } from '#domain/errors'

/** What a caller is told of an error: the only place where kinds become status codes. */
const STATUS: Partial<Record<ErrorKind, number>> = {
  invalid: 400,
  unauthorized: 401,
  forbidden: 403,
  'not-found': 404,
  'already-exists': 409,
  conflict: 409,
  'too-large': 413,
  unsupported: 422,
  'too-many-requests': 429,
  'source-unavailable': 502,
  'registry-unavailable': 502,
  unavailable: 503,
}

export interface ErrorBody {
  error: { kind: ErrorKind; message: string; detail?: unknown }
}

export function errorBody(kind: ErrorKind, message: string, detail?: unknown): ErrorBody {
  return { error: { kind, message, ...(detail === undefined ? {} : { detail }) } }
}

/** The kind that a status code stands for. */
export function kindOfStatus(status: number): ErrorKind {
  const kind = Object.entries(STATUS).find(([, code]) => code === status)?.[0]
  if (kind) return kind as ErrorKind
  return status < 500 ? 'invalid' : 'internal'
}

export function replyToError(error: FastifyError | SlipwayError, request: FastifyRequest, reply: FastifyReply): void {
  const { status, body } = describeError(error)
  if (status >= 500) request.log.error({ err: error }, 'request failed')
  // What was not read of the request must not be taken for the next one.
  if (!request.raw.complete) reply.header('connection', 'close')
  if (status === 401 && !reply.hasHeader('www-authenticate')) reply.header('www-authenticate', 'Bearer realm="Slipway"')
  reply.code(status).type('application/json; charset=utf-8').serializer(JSON.stringify).send(body)
}

/** Status and words for an error; the words of our own faults stay in the log. */
export function describeError(error: FastifyError | SlipwayError): { status: number; body: ErrorBody } {
  if (error instanceof SlipwayError) {
    const status = STATUS[error.kind] ?? 500
    return { status, body: errorBody(error.kind, status === 500 ? 'Internal error' : error.message) }
  }
  if (hasZodFastifySchemaValidationErrors(error)) {
    const detail = error.validation.map(({ instancePath, message }) => ({ path: instancePath, message }))
    const first = detail.map(({ path, message }) => `${path || 'request'}: ${message}`).join('; ')
    return { status: 400, body: errorBody('invalid', `The request is not valid: ${first}`, detail) }
  }
  const status = error.statusCode ?? 500
  if (status < 400 || status >= 500) return { status: 500, body: errorBody('internal', 'Internal error') }
  return { status, body: errorBody(kindOfStatus(status), error.message) }
}
