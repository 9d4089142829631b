import type { FastifyInstance, FastifyReply } from 'fastify'
import { SlipwayError } from '#domain/errors'
import { ProjectName } from '#domain/ids'
import { buildUrl } from '../builds/build-url.ts'
import type { ApiDeps } from '../deps.ts'
import { errorBody, kindOfStatus } from '../error-replies.ts'
import { ForgeryLimit } from './forgery-limit.ts'
import { BodyReader } from './read-body.ts'
import { type ReceivedHook, receiveWebhook } from './receive-webhook.ts'

/** `POST /hooks/NS/NAME`. Bodies are kept raw: the signature is over bytes. */
export async function hookRoutes(app: FastifyInstance, deps: ApiDeps): Promise<void> {
  const bodies = new BodyReader()
  const limit = new ForgeryLimit()
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
  app.post<{ Params: { ns: string; name: string } }>('/hooks/:ns/:name', async (request, reply) => {
    const project = ProjectName.safeParse(`${request.params.ns}/${request.params.name}`)
    if (!project.success) throw new SlipwayError('not-found', 'There is no such project')
    const sender = `${request.ip} ${project.data}`
    limit.check(sender, Date.now())
    const body = await bodies.read(request.raw)
    const received = await receiveWebhook(deps, { project: project.data, headers: request.headers, body })
    if (received.verdict.kind === 'rejected') limit.count(sender, Date.now())
    return answer(deps, reply, received)
  })
}

function answer(deps: ApiDeps, reply: FastifyReply, received: ReceivedHook): unknown {
  const { delivery, verdict } = received
  const builds = received.builds.map(({ id, number }) => ({ id, number, url: buildUrl(deps.config.baseUrl, id) }))
  switch (verdict.kind) {
    case 'accepted':
      reply.code(202)
      return { deliveryId: delivery, builds, ignored: verdict.ignored }
    case 'ignored':
      reply.code(202)
      return {
        deliveryId: delivery,
        builds,
        ignored: verdict.ignored.length > 0 ? verdict.ignored : [{ rule: null, reason: verdict.reason }],
      }
    case 'answered':
      return { deliveryId: delivery, builds, ignored: [], message: verdict.reason }
    case 'duplicate':
      return { deliveryId: delivery, duplicateOf: verdict.of, builds, ignored: [] }
    case 'rejected':
      reply.code(verdict.status)
      return { ...errorBody(kindOfStatus(verdict.status), verdict.reason), deliveryId: delivery }
    default:
      return verdict satisfies never
  }
}
