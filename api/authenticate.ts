import type { FastifyRequest } from 'fastify'
import { SlipwayError } from '#domain/errors'
import type { Grant, Store } from '#store/contract'

/** Who asks, and how they said so. */
export interface Caller {
  grant: Grant
  via: 'bearer' | 'basic' | 'cookie'
  /** The user name beside a token in HTTP Basic; it is a label and proves nothing. */
  user: string | null
  token: string
}

export const SESSION_COOKIE = 'slipway_session'
/** A page of ours sends it with every change; a form or an image on another site cannot. */
const CSRF_HEADER = 'x-slipway'

const MAX_TOKEN_CHARS = 4096

/** The caller that a request's header or cookie names; null for none, and for tokens that are not good. */
export async function identify(tokens: Store['tokens'], request: FastifyRequest): Promise<Caller | null> {
  const shown = presentedToken(request)
  if (!shown || shown.token === '' || shown.token.length > MAX_TOKEN_CHARS) return null
  const grant = await tokens.check(shown.token)
  return grant && { ...shown, grant }
}

/** The admin who asks; anybody else is refused. */
export async function requireAdmin(tokens: Store['tokens'], request: FastifyRequest): Promise<Caller> {
  const caller = await identify(tokens, request)
  if (!caller) throw new SlipwayError('unauthorized', 'A token is needed: Authorization: Bearer TOKEN')
  if (caller.grant.kind !== 'admin') throw new SlipwayError('forbidden', 'This token is for the registry only')
  const isChange = !['GET', 'HEAD', 'OPTIONS'].includes(request.method)
  if (isChange && caller.via === 'cookie' && request.headers[CSRF_HEADER] !== '1')
    throw new SlipwayError('forbidden', `A change made with a session cookie needs the header ${CSRF_HEADER}: 1`)
  return caller
}

function presentedToken(request: FastifyRequest): Omit<Caller, 'grant'> | null {
  const { authorization } = request.headers
  // A header decides alone: a wrong token does not fall back to the cookie.
  if (authorization !== undefined) return credentialsOf(authorization)
  const cookie = request.cookies[SESSION_COOKIE]
  return cookie ? { via: 'cookie', user: null, token: cookie } : null
}

/** The token of a Bearer header, or the password of a Basic one. */
export function credentialsOf(authorization: string): Omit<Caller, 'grant'> | null {
  const [, scheme = '', credentials = ''] = /^(bearer|basic) +(\S+) *$/i.exec(authorization) ?? []
  if (scheme.toLowerCase() === 'bearer') return { via: 'bearer', user: null, token: credentials }
  if (scheme.toLowerCase() !== 'basic') return null
  const decoded = Buffer.from(credentials, 'base64').toString('utf8')
  const colon = decoded.indexOf(':')
  return colon < 0 ? null : { via: 'basic', user: decoded.slice(0, colon), token: decoded.slice(colon + 1) }
}
