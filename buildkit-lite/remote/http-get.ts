import { type LookupAddress, lookup as lookUp } from 'node:dns'
import { once } from 'node:events'
import { type IncomingMessage, type RequestOptions, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import { SlipwayError } from '#domain/errors'
import { type AddressRules, refusal } from './address-rules.ts'

export interface RemoteRequest {
  url: URL
  headers: Readonly<Record<string, string>>
  /** Sent to the origin of `url` only, and not where it redirects to. */
  authorization: string | null
}

export interface RemoteResponse {
  /** After redirects. */
  url: URL
  status: number
  statusText: string
  headers: IncomingMessage['headers']
  /** To be read to its end or destroyed. */
  body: IncomingMessage
}

const MAX_REDIRECTS = 10
const REDIRECTS = [301, 302, 303, 307, 308]
/** A connection on which nothing moved for so long is given up. */
const SILENCE_MS = 60_000

/**
 * GETs what a Dockerfile names, following redirects. Every connection goes to an address that the rules allow: names
 * are looked up once, and what was checked is what is connected to.
 */
export async function getRemote(
  { url, headers, authorization }: RemoteRequest,
  rules: AddressRules,
  signal: AbortSignal,
): Promise<RemoteResponse> {
  let place = url
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    const own = authorization !== null && place.origin === url.origin ? { authorization } : {}
    const response = await send(place, { ...headers, ...own }, rules, signal)
    const { location } = response.headers
    const status = response.statusCode ?? 0
    if (!REDIRECTS.includes(status) || location === undefined)
      return { url: place, status, statusText: response.statusMessage ?? '', headers: response.headers, body: response }
    response.destroy()
    place = redirectTo(location, place)
  }
  throw new SlipwayError('step-failed', `${url.href} redirects more than ${MAX_REDIRECTS} times`)
}

function redirectTo(location: string, from: URL): URL {
  const to = URL.parse(location, from.href)
  if (to && ['http:', 'https:'].includes(to.protocol)) return to
  throw new SlipwayError('step-failed', `${from.href} redirects to "${location}", expected a place of http or https`)
}

async function send(
  url: URL,
  headers: Readonly<Record<string, string>>,
  rules: AddressRules,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  rules.checkPort(url)
  if (isIP(host) !== 0) rules.check(host, host)
  const options: RequestOptions = {
    method: 'GET',
    headers: { 'user-agent': 'slipway', 'accept-encoding': 'identity', ...headers },
    lookup: lookupAllowed(rules),
    // A connection of its own: one that is kept was checked by the rules of another build.
    agent: false,
    signal,
    timeout: SILENCE_MS,
  }
  const request = url.protocol === 'https:' ? requestHttps(url, options) : requestHttp(url, options)
  request.on('timeout', () => request.destroy(new Error(`nothing came for ${SILENCE_MS / 1000} s`)))
  const responded = once(request, 'response')
  request.on('error', () => {})
  request.end()
  const [response] = (await responded) as [IncomingMessage]
  // The reader of the body sees the error; this only keeps an unread one from ending the process.
  response.on('error', () => {})
  return response
}

/** A name that leads to several addresses is reached at those that are allowed. */
function lookupAllowed(rules: AddressRules): LookupFunction {
  return (hostname, options, callback) => {
    lookUp(hostname, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
      if (error) return callback(error, '', 0)
      const [allowed, ...others] = addresses.filter(({ address }) => rules.isAllowed(address))
      if (!allowed) return callback(refusal(hostname, addresses[0]?.address ?? hostname), '', 0)
      if (options.all) callback(null, [allowed, ...others])
      else callback(null, allowed.address, allowed.family)
    })
  }
}
