import type { FastifyInstance } from 'fastify'
import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { ApiDeps } from '../deps.ts'

const MAX_COUNTED = 1000

/** Measures every request, and counts builds when it is asked. One registry per server, so that tests do not share it. */
export function meterRequests(app: FastifyInstance, { store }: ApiDeps): Registry {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const durations = new Histogram({
    name: 'slipway_http_request_duration_seconds',
    help: 'Time from a request to the end of its answer',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
    registers: [registry],
  })
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'unknown'
    durations.observe({ method: request.method, route, status: reply.statusCode }, reply.elapsedTime / 1000)
  })
  const builds = new Gauge({
    name: 'slipway_builds',
    help: 'Builds that have not ended, by status',
    labelNames: ['status'],
    registers: [],
    async collect() {
      const running = await store.builds.list({ status: 'running' }, null, MAX_COUNTED)
      this.set({ status: 'queued' }, (await store.builds.queued()).length)
      this.set({ status: 'running' }, running.items.length)
    },
  })
  const workers = new Gauge({
    name: 'slipway_workers',
    help: 'Workers that were seen lately',
    registers: [],
    async collect() {
      this.set((await store.workers.list()).length)
    },
  })
  registry.registerMetric(builds)
  registry.registerMetric(workers)
  return registry
}
