import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { SlipwayError } from '#domain/errors'
import { ProjectName, RolloutId } from '#domain/ids'
import { Rollout } from '#domain/rollout'
import type { Store } from '#store/contract'
import { identify } from '../authenticate.ts'
import type { ApiDeps } from '../deps.ts'
import { type EventFrame, sendEventStream } from '../event-stream.ts'
import { PageQuery, pageOf } from './shapes.ts'

const tags = ['rollouts']
const Params = z.object({ id: z.string() })
const ListQuery = PageQuery.pick({ limit: true }).extend({ project: ProjectName.optional() })

export function rolloutRoutes(app: FastifyInstance, { store }: ApiDeps, closing: AbortSignal): void {
  const routes = app.withTypeProvider<ZodTypeProvider>()

  routes.get(
    '/api/v1/rollouts',
    { schema: { tags, querystring: ListQuery, response: { 200: pageOf(Rollout) } } },
    async ({ query }) => ({ items: await store.rollouts.list(query.project ?? null, query.limit), next: null }),
  )

  routes.get('/api/v1/rollouts/events', { exposeHeadRoute: false, schema: { tags } }, async (request, reply) =>
    sendEventStream(reply, {
      frames: (signal) => changes(store, signal),
      isAllowed: async () => (await identify(store.tokens, request))?.grant.kind === 'admin',
      closing,
    }),
  )

  routes.get(
    '/api/v1/rollouts/:id',
    { schema: { tags, params: Params, response: { 200: Rollout } } },
    async (request) => {
      const id = RolloutId.safeParse(request.params.id)
      const rollout = id.success ? await store.rollouts.get(id.data) : null
      if (!rollout) throw new SlipwayError('not-found', `There is no rollout ${request.params.id}`)
      return rollout
    },
  )
}

async function* changes(store: Store, signal: AbortSignal) {
  for await (const rollout of store.rollouts.watch(signal))
    yield { event: 'message', data: rollout } satisfies EventFrame
}
