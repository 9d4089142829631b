import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { Delivery } from '#domain/delivery'
import { SlipwayError } from '#domain/errors'
import { CommitSha, DeliveryId, ProjectName } from '#domain/ids'
import type { ApiDeps } from '../deps.ts'
import { approveDelivery, redeliver } from '../webhooks/redeliver.ts'
import { PageQuery, pageOf } from './shapes.ts'

const tags = ['deliveries']
const Params = z.object({ id: z.string() })
/** The commit is named again, so that nothing is approved but what a person has looked at. */
const Approval = z.object({ commit: CommitSha })
const ListQuery = PageQuery.extend({ project: ProjectName.optional() })

export function deliveryRoutes(app: FastifyInstance, deps: ApiDeps): void {
  const routes = app.withTypeProvider<ZodTypeProvider>()
  const existing = async (text: string): Promise<Delivery> => {
    const id = DeliveryId.safeParse(text)
    const delivery = id.success ? await deps.store.deliveries.get(id.data) : null
    if (!delivery) throw new SlipwayError('not-found', `There is no delivery ${text}`)
    return delivery
  }

  routes.get(
    '/api/v1/deliveries',
    { schema: { tags, querystring: ListQuery, response: { 200: pageOf(Delivery) } } },
    async ({ query }) => deps.store.deliveries.list(query.project ?? null, query.cursor ?? null, query.limit),
  )

  routes.get(
    '/api/v1/deliveries/:id',
    { schema: { tags, params: Params, response: { 200: Delivery } } },
    async (request) => existing(request.params.id),
  )

  routes.post(
    '/api/v1/deliveries/:id/redeliver',
    { schema: { tags, params: Params, response: { 201: Delivery } } },
    async (request, reply) => reply.code(201).send(await redeliver(deps, await existing(request.params.id))),
  )

  routes.post(
    '/api/v1/deliveries/:id/approve',
    { schema: { tags, params: Params, body: Approval, response: { 200: Delivery } } },
    async (request) => approveDelivery(deps, await existing(request.params.id), request.body.commit),
  )
}
