import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { SlipwayError } from '#domain/errors'
import { ProjectName } from '#domain/ids'
import { buildUrl } from '../builds/build-url.ts'
import type { ApiDeps } from '../deps.ts'
import { errorBody, kindOfStatus } from '../error-replies.ts'
import { CountLimit } from './count-limit.ts'
import { GenericPush } from './generic.ts'
import { BodyReader } from './read-body.ts'
import { checkTrigger, receiveTrigger } from './receive-trigger.ts'
import { type ReceivedHook, receiveWebhook } from './receive-webhook.ts'
import { TriggerOrder } from './trigger.ts'

const tags = ['hooks']
const HookParams = z.object({ ns: z.string(), name: z.string() })
const TriggerParams = HookParams.extend({ token: z.string() })
const MAX_TRIGGER_BYTES = 64 * 1024

const HOOK_HELP = `A webhook of GitHub, GitLab, Gitea, Forgejo, Gogs, Bitbucket or a registry, told from its headers. Whoever else
has something to tell sends the body below, and proves itself by one of: X-Hub-Signature-256 (sha256= and the HMAC of the body with
the project's webhook secret), Standard Webhooks headers with the project's signing token, or Authorization: Bearer and the webhook
secret. A webhook-id or Idempotency-Key makes repeating harmless.`

/** `POST /hooks/NS/NAME`, and the trigger URLs beneath it. Bodies are kept raw: the signature is over bytes. */
export async function hookRoutes(app: FastifyInstance, deps: ApiDeps): Promise<void> {
  const bodies = new BodyReader()
  const forgeries = new CountLimit({ windowMs: 1000, max: 50, what: 'Requests were refused' })
  const triggers = new CountLimit({ windowMs: 60_000, max: 60, what: 'Triggers of this project' })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
  // The schemas are for the documentation: bodies are streams here, and judged by those who know their senders.
  app.setValidatorCompiler(() => (value: unknown) => ({ value }))

  app.post<{ Params: z.infer<typeof HookParams> }>(
    '/hooks/:ns/:name',
    { schema: { tags, description: HOOK_HELP, params: HookParams, body: GenericPush } },
    async (request, reply) => {
      const project = projectOf(request.params)
      const sender = `${request.ip} ${project}`
      forgeries.check(sender, Date.now())
      const body = await bodies.read(request.raw)
      const received = await receiveWebhook(deps, { project, headers: request.headers, body })
      if (received.verdict.kind === 'rejected') forgeries.count(sender, Date.now())
      return answer(deps, reply, received)
    },
  )

  const trigger = async (request: FastifyRequest<{ Params: z.infer<typeof TriggerParams> }>, reply: FastifyReply) => {
    const project = projectOf(request.params)
    const { token } = request.params
    const sender = `${request.ip} ${project}`
    forgeries.check(sender, Date.now())
    await checkTrigger(deps, project, token).catch((error: unknown) => {
      forgeries.count(sender, Date.now())
      throw error
    })
    triggers.check(project, Date.now())
    triggers.count(project, Date.now())
    const body = await bodies.read(request.raw, MAX_TRIGGER_BYTES)
    return answer(deps, reply, await receiveTrigger(deps, { project, token, headers: request.headers, body }))
  }
  const schema = { tags, params: TriggerParams, body: TriggerOrder }
  app.post('/hooks/:ns/:name/trigger/:token', { schema }, trigger)
  // Docker Hub's own URLs end with a slash.
  app.post('/hooks/:ns/:name/trigger/:token/', { schema: { ...schema, hide: true } }, trigger)
}

function projectOf({ ns, name }: z.infer<typeof HookParams>): ProjectName {
  const project = ProjectName.safeParse(`${ns}/${name}`)
  if (!project.success) throw new SlipwayError('not-found', 'There is no such project')
  return project.data
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
    case 'waiting':
      reply.code(202)
      return { deliveryId: delivery, builds, ignored: [...verdict.ignored, { rule: null, reason: verdict.reason }] }
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
