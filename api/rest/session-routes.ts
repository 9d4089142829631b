import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { SlipwayError } from '#domain/errors'
import { identify, requireAdmin, SESSION_COOKIE } from '../authenticate.ts'
import type { ApiDeps } from '../deps.ts'

const SESSION_TTL_MS = 7 * 24 * 60 * 60 * 1000
const tags = ['session']
const Session = z.object({ admin: z.boolean() })

/** The dashboard's sign-in: a token is changed into a cookie that scripts cannot read. */
export function sessionRoutes(app: FastifyInstance, { store, config }: ApiDeps): void {
  const routes = app.withTypeProvider<ZodTypeProvider>()
  const cookie = {
    path: '/',
    httpOnly: true,
    sameSite: 'lax' as const,
    secure: config.baseUrl.startsWith('https:'),
  }
  const rateLimit = { max: 20, timeWindow: 60_000 }

  routes.post(
    '/api/v1/session',
    {
      config: { rateLimit },
      schema: { tags, body: z.object({ token: z.string().min(1).max(4096) }), response: { 200: Session } },
    },
    async (request, reply) => {
      const grant = await store.tokens.check(request.body.token.trim())
      if (grant?.kind !== 'admin') throw new SlipwayError('unauthorized', 'This token does not open a session')
      const token = await store.tokens.issue({ kind: 'admin' }, 'session', SESSION_TTL_MS)
      reply.setCookie(SESSION_COOKIE, token, { ...cookie, maxAge: SESSION_TTL_MS / 1000 })
      return { admin: true }
    },
  )

  routes.get('/api/v1/session', { schema: { tags, response: { 200: Session } } }, async (request) => {
    const caller = await identify(store.tokens, request)
    return { admin: caller?.grant.kind === 'admin' }
  })

  routes.delete('/api/v1/session', { schema: { tags, response: { 200: Session } } }, async (request, reply) => {
    const caller = await requireAdmin(store.tokens, request)
    if (caller.via !== 'cookie') throw new SlipwayError('invalid', 'Only a session can be ended: no cookie was sent')
    await store.tokens.revoke(caller.token)
    reply.clearCookie(SESSION_COOKIE, cookie)
    return { admin: false }
  })
}
