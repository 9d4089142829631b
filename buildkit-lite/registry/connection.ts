import { Readable } from 'node:stream'
import { z } from 'zod'
import { type Backoff, retry } from '#host/retry'
import { type Authorization, authorize, parseChallenge } from './challenge.ts'
import type { Credentials } from './contract.ts'
import { endpointOf, mayLead } from './endpoint.ts'
import { type HttpRequest, type HttpResponse, readBody, type SendHttp } from './http.ts'
import { describe, errorOfConnection, errorOfStatus, RegistryError, type Task } from './registry-error.ts'

/** A request to a registry: the path is below its root, or an address that it gave us. */
export interface RegistryRequest extends Omit<HttpRequest, 'url' | 'headers'> {
  target: string | URL
  headers?: Readonly<Record<string, string>>
  task: Task
  /** As the token service names them: `repository:library/debian:pull`. */
  scopes: readonly string[]
  /** Every other status is an error. */
  okStatuses: readonly number[]
}

export interface ConnectionOptions {
  send: SendHttp
  insecure: readonly string[]
  credentialsFor: (registry: string) => Credentials | null
}

const MAX_REDIRECTS = 5
const MAX_ERROR_BYTES = 64 * 1024

export const BACKOFF: Backoff = {
  attempts: 5,
  firstDelayMs: 250,
  maxDelayMs: 4000,
  retryable: (error) => error instanceof RegistryError && error.isPassing,
}

/** A push ends a build, which would be lost: our own registry, or the API before it, may be started again meanwhile. */
const PUSH_BACKOFF: Backoff = { ...BACKOFF, attempts: 7 }

export function backoffOf({ direction }: Task): Backoff {
  return direction === 'push' ? PUSH_BACKOFF : BACKOFF
}

/** Speaks to registries: authorises, follows redirects of reads, turns bad answers into errors. */
export class RegistryConnection {
  readonly #options: ConnectionOptions
  readonly #authorizations = new Map<string, Authorization>()

  constructor(options: ConnectionOptions) {
    this.#options = options
  }

  endpointOf(task: Task): URL {
    return endpointOf(task.registry, this.#options.insecure)
  }

  /** Tries again where that may help; only for requests that are the same each time. */
  requestAgain(request: RegistryRequest, signal: AbortSignal): Promise<HttpResponse> {
    return retry(() => this.request(request, signal), backoffOf(request.task), signal)
  }

  /** One try. The caller reads the body to its end or destroys it. */
  async request(request: RegistryRequest, signal: AbortSignal): Promise<HttpResponse> {
    const { task, okStatuses } = request
    const endpoint = this.endpointOf(task)
    const url = new URL(request.target, endpoint)
    if (url.origin !== endpoint.origin && !mayLead(endpoint, url)) throw refusedLead(task, url)
    let response = await this.#send(request, { endpoint, url }, signal)
    if (response.status === 401 && request.body === undefined) {
      // Unread, it would keep its connection, of which the token service may need one.
      response = await readAhead(response)
      if (await this.#answerChallenge(request, response, signal)) {
        response = await this.#send(request, { endpoint, url }, signal)
      }
    }
    if (okStatuses.includes(response.status)) return response
    throw await this.#error(request, response)
  }

  async #send(request: RegistryRequest, at: { endpoint: URL; url: URL }, signal: AbortSignal): Promise<HttpResponse> {
    let { url } = at
    for (let redirects = 0; ; redirects++) {
      const isHome = url.origin === at.endpoint.origin
      const authorization = isHome ? this.#authorizations.get(keyOf(request)) : undefined
      const isFresh = authorization && authorization.expiresAt > Date.now()
      const headers = { ...request.headers, ...(isFresh ? { authorization: authorization.header } : {}) }
      const { method, body } = request
      const response = await this.#sendOnce({ method, url, headers, ...(body ? { body } : {}) }, request.task, signal)
      const location = response.headers.location
      const isRedirect = response.status >= 301 && response.status <= 308 && response.status !== 304
      if (!isRedirect || !location || body !== undefined || method === 'POST') return response
      response.body.destroy()
      const next = URL.parse(location, url)
      if (!next || !mayLead(url, next) || redirects >= MAX_REDIRECTS) throw refusedLead(request.task, next ?? location)
      url = next
    }
  }

  async #sendOnce(request: HttpRequest, task: Task, signal: AbortSignal): Promise<HttpResponse> {
    try {
      return await this.#options.send(request, signal)
    } catch (error) {
      throw signal.aborted ? signal.reason : errorOfConnection(task, error)
    }
  }

  /** True where the request is worth sending again, with what we know now. */
  async #answerChallenge(request: RegistryRequest, response: HttpResponse, signal: AbortSignal): Promise<boolean> {
    const challenge = parseChallenge(response.headers['www-authenticate'])
    if (!challenge) return false
    const { task, scopes } = request
    const endpoint = this.endpointOf(task)
    const credentials = this.#options.credentialsFor(task.registry)
    const details = { endpoint, challenge, scopes, credentials, task }
    const authorization = await authorize(this.#options.send, details, signal)
    if (!authorization) return false
    this.#authorizations.set(keyOf(request), authorization)
    return true
  }

  async #error(request: RegistryRequest, response: HttpResponse): Promise<RegistryError> {
    // An authorisation that was refused is not tried again.
    if (response.status === 401) this.#authorizations.delete(keyOf(request))
    const body = await readBody(response, MAX_ERROR_BYTES).catch(() => null)
    return errorOfStatus(request.task, response.status, whatItSaid(body))
  }
}

/** The same answer with what it says in memory, and its connection free for another request. */
async function readAhead(response: HttpResponse): Promise<HttpResponse> {
  const body = await readBody(response, MAX_ERROR_BYTES)
  return { ...response, body: Readable.from(body ? [body] : []) }
}

function keyOf({ task, scopes }: RegistryRequest): string {
  return `${task.registry} ${scopes.join(' ')}`
}

function refusedLead(task: Task, to: URL | string): RegistryError {
  const where = to instanceof URL ? to.origin : to
  return new RegistryError('registry-unavailable', `${describe(task)} failed: it leads to ${where}, which is refused`)
}

/** https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes */
const ErrorAnswer = z.object({
  errors: z.array(z.object({ code: z.string().optional(), message: z.string().optional() })).min(1),
})

/** The registry's own words, on one line and not too many. */
function whatItSaid(body: Buffer | null): string {
  const text = body?.toString() ?? ''
  let words = text.startsWith('<') ? '' : text
  try {
    const { errors } = ErrorAnswer.parse(JSON.parse(text))
    words = errors.map(({ code, message }) => [code, message].filter(Boolean).join(': ')).join('; ')
  } catch {
    // Not every registry's errors are JSON.
  }
  return words.replace(/\s+/g, ' ').trim().slice(0, 500)
}
