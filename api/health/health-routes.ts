import type { FastifyInstance } from 'fastify'
import type { Registry } from 'prom-client'
import type { ApiDeps } from '../deps.ts'
import { readiness } from './readiness.ts'

/** What machines ask: alive, ready, how busy, and what can be called. */
export function healthRoutes(app: FastifyInstance, deps: ApiDeps, metrics: Registry): void {
  app.get('/healthz', async () => ({ status: 'ok' }))
  app.get('/readyz', async (_request, reply) => {
    const { ready, parts } = await readiness(deps)
    return reply.code(ready ? 200 : 503).send({ status: ready ? 'ready' : 'not ready', parts })
  })
  app.get('/metrics', async (_request, reply) => reply.type(metrics.contentType).send(await metrics.metrics()))
  app.get('/openapi.json', async () => app.swagger())
}
