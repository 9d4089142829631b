import replyFrom from '@fastify/reply-from'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ApiDeps } from '../deps.ts'
import { formatScope, grantsOf, isEnough, mayPullPublic, type Need, needOf } from './access.ts'
import { withoutForeignMount } from './mount.ts'
import { readRegistryPath } from './registry-request.ts'
import { tokenRoutes } from './token-routes.ts'

const UPSTREAM_IDLE_MS = 10 * 60 * 1000
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const

/** `/v2/`: the registry behind our own authorization. Bodies pass through in both directions and are never gathered. */
export async function registryRoutes(app: FastifyInstance, deps: ApiDeps): Promise<void> {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
  tokenRoutes(app, deps)
  await app.register(replyFrom, {
    base: upstreamBase(deps.config.registryUrl),
    http: { requestOptions: { timeout: UPSTREAM_IDLE_MS, rejectUnauthorized: true } },
    retryMethods: [],
    disableCache: true,
    disableRequestLogging: true,
  })
  app.route({
    method: [...METHODS],
    url: '/v2/*',
    exposeHeadRoute: false,
    handler: async (request, reply) => proxy(deps, request, reply),
  })
  app.get('/v2', async (request, reply) => proxy(deps, request, reply))
}

/** A URL, or `unix:` and a path, in the form the proxy takes. */
function upstreamBase(registryUrl: string): string {
  if (!registryUrl.startsWith('unix:')) return registryUrl
  return `unix+http://${encodeURIComponent(registryUrl.slice('unix:'.length))}/`
}

async function proxy(deps: ApiDeps, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  reply.header('docker-distribution-api-version', 'registry/2.0')
  const [path = '', query = ''] = request.url.split('?')
  const grants = await grantsOf(deps.store, request.headers.authorization)
  const asked = readRegistryPath(path)
  if (!asked)
    return grants.length > 0
      ? fail(reply, 404, 'UNSUPPORTED', 'There is no such endpoint')
      : challenge(deps, reply, null)
  const need = needOf(asked, request.method)
  if (!isEnough(grants, need) && !(await mayPullPublic(deps.store, need))) {
    if (need.kind === 'admin' && grants.length > 0) return fail(reply, 403, 'DENIED', 'Only the admin may do this')
    return challenge(deps, reply, need, grants.length > 0)
  }
  const upstreamPath = path === '/v2' ? '/v2/' : path
  return reply.from(upstreamPath, {
    queryString: () => withoutForeignMount(query, grants),
    rewriteRequestHeaders: (original, headers) => ({
      ...withoutSecrets(headers),
      ...(deps.config.ownRegistry && original.headers.host ? { host: original.headers.host } : {}),
    }),
    rewriteHeaders: (headers) => ({ ...headers, ...localLocation(headers['location']) }),
    onError: () => {
      fail(reply, 502, 'UNAVAILABLE', 'The registry does not answer')
    },
  })
}

function withoutSecrets<T extends object>(headers: T): T {
  const { authorization: _a, cookie: _c, ...rest } = headers as Record<string, unknown>
  return rest as T
}

/** Clients stay on our port: where the registry names itself as a place to go on, only the path counts. */
function localLocation(location: unknown): { location?: string } {
  if (typeof location !== 'string' || !URL.canParse(location)) return {}
  const { pathname, search } = new URL(location)
  return pathname.startsWith('/v2/') ? { location: `${pathname}${search}` } : {}
}

/** https://distribution.github.io/distribution/spec/auth/token/#how-to-authenticate */
function challenge(deps: ApiDeps, reply: FastifyReply, need: Need | null, isKnown = false): FastifyReply {
  const parts = [`realm="${deps.config.baseUrl}/v2/token"`, 'service="slipway"']
  if (need?.kind === 'scope') parts.push(`scope="${formatScope(need)}"`)
  if (need?.kind === 'admin') parts.push('scope="registry:catalog:*"')
  if (isKnown) parts.push('error="insufficient_scope"')
  reply.header('www-authenticate', `Bearer ${parts.join(',')}`)
  return fail(reply, 401, 'UNAUTHORIZED', 'A token for this is needed')
}

/** https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes */
function fail(reply: FastifyReply, status: number, code: string, message: string): FastifyReply {
  if (!reply.request.raw.complete) reply.header('connection', 'close')
  return reply.code(status).send({ errors: [{ code, message }] })
}
