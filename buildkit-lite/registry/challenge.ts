import { z } from 'zod'
import type { Credentials } from './contract.ts'
import { mayAuthenticate, mayLead } from './endpoint.ts'
import { readBody, type SendHttp } from './http.ts'
import { describe, errorOfConnection, errorOfStatus, RegistryError, type Task } from './registry-error.ts'

export interface Challenge {
  scheme: 'basic' | 'bearer'
  realm: string | null
  service: string | null
}

/** https://www.rfc-editor.org/rfc/rfc9110#field.www-authenticate; null where it names no scheme we know. */
export function parseChallenge(header: string | undefined): Challenge | null {
  const scheme = /^\s*(basic|bearer)\b/i.exec(header ?? '')?.[1]?.toLowerCase()
  if (scheme !== 'basic' && scheme !== 'bearer') return null
  const parameters = new Map<string, string>()
  for (const [, name = '', quoted, plain] of (header ?? '').matchAll(/([a-z_]+)=(?:"([^"]*)"|([^",\s]+))/gi)) {
    parameters.set(name.toLowerCase(), quoted ?? plain ?? '')
  }
  return { scheme, realm: parameters.get('realm') ?? null, service: parameters.get('service') ?? null }
}

/** https://distribution.github.io/distribution/spec/auth/token/ */
const TokenAnswer = z.object({
  token: z.string().optional(),
  access_token: z.string().optional(),
  expires_in: z.number().optional(),
})

export interface Authorization {
  header: string
  expiresAt: number
}

const MAX_TOKEN_BYTES = 256 * 1024
const DEFAULT_LIFETIME_S = 60

export interface AuthorizationRequest {
  endpoint: URL
  challenge: Challenge
  scopes: readonly string[]
  credentials: Credentials | null
  task: Task
}

/** What to answer a challenge with; null where there is nothing to answer with. */
export async function authorize(
  send: SendHttp,
  request: AuthorizationRequest,
  signal: AbortSignal,
): Promise<Authorization | null> {
  const { challenge, credentials } = request
  if (challenge.scheme === 'bearer') return fetchToken(send, request, signal)
  return credentials && { header: basicHeader(credentials), expiresAt: Number.POSITIVE_INFINITY }
}

async function fetchToken(send: SendHttp, request: AuthorizationRequest, signal: AbortSignal): Promise<Authorization> {
  const { task, credentials } = request
  const realm = checkedRealm(request)
  const headers = credentials ? { authorization: basicHeader(credentials) } : {}
  const response = await send({ method: 'GET', url: realm, headers }, signal).catch((error: unknown) => {
    throw signal.aborted ? signal.reason : errorOfConnection(task, error)
  })
  const body = await readBody(response, MAX_TOKEN_BYTES)
  if (response.status !== 200) throw errorOfStatus(task, response.status, `from its token service ${realm.host}`)
  const answer = TokenAnswer.safeParse(parseJson(body))
  const token = answer.data?.token ?? answer.data?.access_token
  if (!token || /[^\x21-\x7e]/.test(token)) {
    throw new RegistryError('registry-unavailable', `${describe(task)} failed: ${realm.host} gave no token`)
  }
  const lifetimeS = answer.data?.expires_in ?? DEFAULT_LIFETIME_S
  return { header: `Bearer ${token}`, expiresAt: Date.now() + Math.max(lifetimeS - 10, 5) * 1000 }
}

/** The token service's address, if it is one that we may go to, and show the credentials where we have some. */
function checkedRealm({ endpoint, challenge, scopes, credentials, task }: AuthorizationRequest): URL {
  const realm = challenge.realm === null ? null : URL.parse(challenge.realm)
  const isAllowed = realm && (credentials ? mayAuthenticate(endpoint, realm) : mayLead(endpoint, realm))
  if (!isAllowed) {
    const got = challenge.realm ?? 'none'
    throw new RegistryError(
      task.direction === 'pull' ? 'pull-denied' : 'push-denied',
      `${describe(task)} failed: its token service is ${got}, expected one on the same site as ${endpoint.host}`,
    )
  }
  if (challenge.service) realm.searchParams.set('service', challenge.service)
  for (const scope of scopes) realm.searchParams.append('scope', scope)
  return realm
}

function basicHeader({ username, password }: Credentials): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}

function parseJson(body: Buffer | null): unknown {
  try {
    return JSON.parse(body?.toString() ?? '')
  } catch {
    return null
  }
}
