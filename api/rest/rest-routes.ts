import type { FastifyInstance } from 'fastify'
import { requireAdmin } from '../authenticate.ts'
import type { ApiDeps } from '../deps.ts'
import { buildRoutes } from './build-routes.ts'
import { buildStreamRoutes } from './build-stream-routes.ts'
import { deliveryRoutes } from './delivery-routes.ts'
import { projectRoutes } from './project-routes.ts'
import { rolloutRoutes } from './rollout-routes.ts'
import { ruleRoutes } from './rule-routes.ts'
import { sessionRoutes } from './session-routes.ts'
import { triggerRoutes } from './trigger-routes.ts'
import { workerRoutes } from './worker-routes.ts'

/** `/api/v1`: everything but opening a session is for the admin. */
export async function restRoutes(app: FastifyInstance, deps: ApiDeps, closing: AbortSignal): Promise<void> {
  acceptEmptyJson(app)
  await app.register(async (scope) => sessionRoutes(scope, deps))
  await app.register(async (scope) => {
    scope.addHook('onRequest', async (request) => void (await requireAdmin(deps.store.tokens, request)))
    projectRoutes(scope, deps)
    ruleRoutes(scope, deps)
    buildRoutes(scope, deps)
    buildStreamRoutes(scope, deps, closing)
    deliveryRoutes(scope, deps)
    rolloutRoutes(scope, deps, closing)
    triggerRoutes(scope, deps)
    workerRoutes(scope, deps)
  })
}

/** Clients that name a type for every request also name it where there is nothing to send. */
function acceptEmptyJson(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error')
  app.removeContentTypeParser('application/json')
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null, undefined)
    else void parse(request, String(body), done)
  })
}
