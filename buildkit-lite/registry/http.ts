import { once } from 'node:events'
import { Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http'
import { Agent as HttpsAgent, request as requestHttps } from 'node:https'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

export interface HttpRequest {
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH'
  url: URL
  headers: Readonly<Record<string, string>>
  /** Sent as it is; the headers say its length. */
  body?: Readable | Buffer
}

export interface HttpResponse {
  status: number
  headers: IncomingMessage['headers']
  /** To be read to its end or destroyed. */
  body: Readable
}

/** Sends one request; redirects are answers like any other. */
export type SendHttp = (request: HttpRequest, signal: AbortSignal) => Promise<HttpResponse>

/** A connection on which nothing moved for so long is given up. */
const SILENCE_MS = 60_000

/** HTTP with connections that are kept for the next request. Unused ones do not keep the process alive. */
export function createHttp(): SendHttp {
  const http = new HttpAgent({ keepAlive: true, maxSockets: 16 })
  const https = new HttpsAgent({ keepAlive: true, maxSockets: 16 })
  return async ({ method, url, headers, body }, signal) => {
    const options = { method, headers: { 'user-agent': 'slipway', ...headers }, signal, timeout: SILENCE_MS }
    const request =
      url.protocol === 'https:'
        ? requestHttps(url, { ...options, agent: https })
        : requestHttp(url, { ...options, agent: http })
    request.on('timeout', () => request.destroy(new Error(`nothing came for ${SILENCE_MS / 1000} s`)))
    const responded = once(request, 'response')
    const sent = sendBody(request, body)
    sent.catch(() => {})
    // An early answer such as 401 ends the upload; its own failure is then of no interest.
    const [response] = await Promise.race([responded, sent.then(() => responded)])
    return answerOf(response as IncomingMessage)
  }
}

function sendBody(request: ReturnType<typeof requestHttp>, body: Readable | Buffer | undefined): Promise<void> {
  request.on('error', () => {})
  if (body && !Buffer.isBuffer(body)) return pipeline(body, request)
  request.end(body)
  return Promise.resolve()
}

function answerOf(response: IncomingMessage): HttpResponse {
  // The reader of the body sees the error; this only keeps an unread one from ending the process.
  response.on('error', () => {})
  return { status: response.statusCode ?? 0, headers: response.headers, body: response }
}

/** Reads a body of at most `maxBytes`; null where there is more. */
export async function readBody(response: HttpResponse, maxBytes: number): Promise<Buffer | null> {
  const chunks: Buffer[] = []
  let sizeBytes = 0
  for await (const chunk of response.body) {
    sizeBytes += chunk.length
    if (sizeBytes > maxBytes) return null
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
