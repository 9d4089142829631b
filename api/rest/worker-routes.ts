import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { Build } from '#domain/build'
import { BuildId, WorkerId } from '#domain/ids'
import type { ApiDeps } from '../deps.ts'
import { pageOf } from './shapes.ts'

const tags = ['workers']
const Worker = z.object({
  id: WorkerId,
  host: z.string(),
  version: z.string(),
  startedAtMs: z.number(),
  seenAtMs: z.number(),
  capacity: z.number(),
  running: z.array(BuildId),
})

/** Who works, and what waits for them. */
export function workerRoutes(app: FastifyInstance, { store }: ApiDeps): void {
  const routes = app.withTypeProvider<ZodTypeProvider>()
  routes.get('/api/v1/workers', { schema: { tags, response: { 200: pageOf(Worker) } } }, async () => ({
    items: await store.workers.list(),
    next: null,
  }))
  routes.get('/api/v1/queue', { schema: { tags, response: { 200: pageOf(Build) } } }, async () => ({
    items: await store.builds.queued(),
    next: null,
  }))
}
