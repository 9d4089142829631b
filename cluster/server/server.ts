import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { type Duplex, Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type FastifyReply, type FastifyRequest, fastify } from 'fastify'
import type { Logger } from '#host/log'
import { type ApiParts, createApi, isPublic } from './api.ts'
import { badRequest, toApiError, tooLarge, unauthorized } from './api-error.ts'
import type { ApiReply, ApiRequest } from './api-request.ts'
import type { ServerIdentity } from './pki.ts'
import { refuseUpgrade, serveUpgrade } from './streams/serve-upgrade.ts'

/** As Kubernetes limits it. */
const BODY_LIMIT_BYTES = 3 * 1024 * 1024

export interface ServerOptions extends ApiParts {
  identity: ServerIdentity
  host: string
  /** 0 takes any free port. */
  port: number
  log: Logger
}

export interface ApiServer extends AsyncDisposable {
  /** `https://127.0.0.1:6443`. */
  url: string
}

/** Serves the Kubernetes API over HTTPS until it is disposed; open watches end then. */
export async function startServer(options: ServerOptions): Promise<ApiServer> {
  const { identity, log } = options
  const app = fastify({
    bodyLimit: BODY_LIMIT_BYTES,
    forceCloseConnections: true,
    frameworkErrors: (error, _request, reply) => void sendError(reply, fromLibrary(error)),
    // Upgrades for exec are HTTP/1.1 only; kubectl would choose h2 if it were offered.
    https: { key: identity.keyPem, cert: identity.certPem, ALPNProtocols: ['http/1.1'] },
  })
  const stopping = new AbortController()
  const api = createApi(options)
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  app.setErrorHandler(async (error, _request, reply) => sendError(reply, fromLibrary(error)))
  app.addHook('onRequest', async (request, reply) => {
    if (isPublic(pathOf(request)) || hasToken(request, identity.token)) return
    await sendError(reply, unauthorized())
  })
  app.route({
    method: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
    url: '/*',
    handler: async (request, reply) => {
      const path = pathOf(request)
      const gone = new AbortController()
      reply.raw.once('close', () => gone.abort(new Error('the client has gone')))
      const signal = AbortSignal.any([gone.signal, stopping.signal])
      try {
        return await send(reply, await api(toApiRequest(request, path, signal)), signal)
      } catch (error) {
        const shown = toApiError(error)
        if (shown.code === 500) log.error({ err: error, path, method: request.method }, 'request failed')
        return sendError(reply, shown)
      }
    },
  })
  app.server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const upgrade = { request, socket, head, isAccepted: false }
    if (!hasToken(request, identity.token)) return refuseUpgrade(upgrade, unauthorized())
    serveUpgrade(options, upgrade, stopping.signal).catch((error: unknown) => refuseUpgrade(upgrade, error))
  })
  await app.listen({ host: options.host, port: options.port })
  const address = app.addresses()[0]
  return {
    url: `https://${options.host}:${(typeof address === 'object' ? address.port : undefined) ?? options.port}`,
    [Symbol.asyncDispose]: async () => {
      stopping.abort(new Error('the server stops'))
      await app.close()
    },
  }
}

function pathOf({ url }: FastifyRequest): string {
  return url.split('?')[0] ?? '/'
}

function toApiRequest(request: FastifyRequest, path: string, signal: AbortSignal): ApiRequest {
  const mark = request.url.indexOf('?')
  return {
    method: request.method,
    path,
    query: new URLSearchParams(mark < 0 ? '' : request.url.slice(mark + 1)),
    accept: request.headers.accept ?? '',
    contentType: request.headers['content-type'] ?? '',
    userAgent: request.headers['user-agent'] ?? '',
    body: Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0),
    signal,
  }
}

function send(reply: FastifyReply, { code, body, contentType, warnings = [] }: ApiReply, signal: AbortSignal) {
  for (const warning of warnings) void reply.header('Warning', `299 - ${JSON.stringify(warning)}`)
  void reply.code(code).header('content-type', contentType ?? 'application/json')
  if (typeof body === 'object' && body !== null && Symbol.asyncIterator in body) {
    return stream(reply, body, signal)
  }
  return reply.send(typeof body === 'string' ? body : JSON.stringify(body))
}

/** Written past Fastify, since the head has to go out before there is a first event. */
function stream(reply: FastifyReply, body: AsyncIterable<string | Uint8Array>, signal: AbortSignal): FastifyReply {
  void reply.hijack()
  const { raw } = reply
  for (const [name, value] of Object.entries(reply.getHeaders())) if (value !== undefined) raw.setHeader(name, value)
  raw.writeHead(reply.statusCode)
  raw.flushHeaders()
  // The client may go at any time; the stream then ends by its signal, and there is nobody left to tell.
  pipeline(Readable.from(body, { objectMode: false }), raw, { signal }).catch(() => raw.destroy())
  return reply
}

/** What the HTTP library refuses by itself, before a request is ours. */
function fromLibrary(error: unknown): unknown {
  const { statusCode = 500, message } = error as { statusCode?: number; message: string }
  if (statusCode === 413) return tooLarge(BODY_LIMIT_BYTES)
  return statusCode >= 400 && statusCode < 500 ? badRequest(message) : error
}

function sendError(reply: FastifyReply, error: unknown) {
  const shown = toApiError(error)
  return reply.code(shown.code).header('content-type', 'application/json').send(JSON.stringify(shown.toStatus()))
}

function hasToken(request: Pick<IncomingMessage, 'headers'>, token: string): boolean {
  const given = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? ''
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(token))
}
