import type { FastifyInstance, FastifyReply } from 'fastify'
import { SlipwayError } from '#domain/errors'
import { ProjectName } from '#domain/ids'
import { buildUrl } from '../builds/build-url.ts'
import type { ApiDeps } from '../deps.ts'
import { errorBody, kindOfStatus } from '../error-replies.ts'
import { BodyReader } from './read-body.ts'
import { type ReceivedHook, receiveWebhook } from './receive-webhook.ts'

/** Forged requests from one sender to one hook are refused beyond this, before their body is read. */
const MAX_PER_SECOND = 100

/** `POST /hooks/NS/NAME`. Bodies are kept raw: the signature is over bytes. */
export async function hookRoutes(app: FastifyInstance, deps: ApiDeps): Promise<void> {
  const bodies = new BodyReader()
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
  app.post<{ Params: { ns: string; name: string } }>(
    '/hooks/:ns/:name',
    {
      config: {
        rateLimit: {
          max: MAX_PER_SECOND,
          timeWindow: 1000,
          keyGenerator: (request: { ip: string; url: string }) => `${request.ip} ${request.url}`,
        },
      },
    },
    async (request, reply) => {
      const project = ProjectName.safeParse(`${request.params.ns}/${request.params.name}`)
      if (!project.success) throw new SlipwayError('not-found', 'There is no such project')
      const body = await bodies.read(request.raw)
      return answer(deps, reply, await receiveWebhook(deps, { project: project.data, headers: request.headers, body }))
    },
  )
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
