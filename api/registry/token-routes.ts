import type { FastifyInstance, FastifyReply } from 'fastify'
import type { Grant } from '#store/contract'
import type { ApiDeps } from '../deps.ts'
import { readBody } from '../webhooks/read-body.ts'
import { grantsOf, parseScope } from './access.ts'
import { issueRegistryToken, TOKEN_TTL_S } from './issue-token.ts'

const MAX_FORM_BYTES = 16 * 1024

/**
 * `/v2/token`: a token of ours as the password is changed into a short-lived one for the asked scopes. GET with Basic as
 * docker does it, POST with a form as containerd does it.
 * https://distribution.github.io/distribution/spec/auth/token/
 */
export function tokenRoutes(app: FastifyInstance, deps: ApiDeps): void {
  const issue = async (reply: FastifyReply, grants: Grant[], scopes: string[]) => {
    const asked = scopes.flatMap((scope) => scope.split(' ')).map(parseScope)
    const known = asked.filter((scope) => scope !== null)
    const token = await issueRegistryToken(deps.store, grants, known)
    reply.header('cache-control', 'no-store')
    return { token, access_token: token, expires_in: TOKEN_TTL_S, issued_at: new Date().toISOString() }
  }
  const refuse = (reply: FastifyReply) =>
    reply
      .code(401)
      .header('www-authenticate', 'Basic realm="Slipway"')
      .send({ errors: [{ code: 'UNAUTHORIZED', message: 'The password is not a token of this server' }] })

  app.get('/v2/token', async (request, reply) => {
    const { authorization } = request.headers
    const grants = await grantsOf(deps.store, authorization)
    const scopes = new URL(request.url, 'http://localhost').searchParams.getAll('scope')
    const isAnonymous = authorization === undefined
    // Without a token only public images can be pulled; a wrong one is an error, so that a sign-in can fail.
    if (grants.length === 0 && (!isAnonymous || scopes.length === 0)) return refuse(reply)
    return issue(reply, grants, scopes)
  })

  app.post('/v2/token', async (request, reply) => {
    const form = new URLSearchParams((await readBody(request.raw, MAX_FORM_BYTES)).toString('utf8'))
    const password = form.get('password') ?? form.get('refresh_token') ?? ''
    const grants = await grantsOf(deps.store, `Bearer ${password}`)
    return grants.length > 0 ? issue(reply, grants, form.getAll('scope')) : refuse(reply)
  })
}
