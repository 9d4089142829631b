import cookie from '@fastify/cookie'
import rateLimit from '@fastify/rate-limit'
import swagger from '@fastify/swagger'
import { type FastifyBaseLogger, type FastifyInstance, fastify, LogController } from 'fastify'
import { jsonSchemaTransform, serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod'
import { dashboardRoutes } from './dashboard-routes.ts'
import type { ApiDeps } from './deps.ts'
import { errorBody, replyToError } from './error-replies.ts'
import { gitRoutes } from './git/git-routes.ts'
import { healthRoutes } from './health/health-routes.ts'
import { meterRequests } from './health/metrics.ts'
import { registryRoutes } from './registry/registry-routes.ts'
import { restRoutes } from './rest/rest-routes.ts'
import { hookRoutes } from './webhooks/hook-routes.ts'

/** A page of ours loads from us alone, runs no inline script, and is shown in nobody's frame. */
const SECURITY_HEADERS = {
  'content-security-policy':
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
}

/** The HTTP server, wired but not listening. `close()` ends open event streams and the push channel with it. */
export function createServer(deps: ApiDeps): FastifyInstance {
  const loggerInstance: FastifyBaseLogger = deps.log
  const app = fastify({
    loggerInstance,
    logController: new LogController({ disableRequestLogging: true }),
    // Git and registry uploads take as long as they take; a header does not.
    requestTimeout: 0,
    http: { headersTimeout: 30_000 },
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 512 },
  })
  const closing = new AbortController()
  app.addHook('preClose', async () => closing.abort(new Error('the server stops')))
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  app.setErrorHandler(replyToError)
  app.setNotFoundHandler((request, reply) =>
    reply.code(404).send(errorBody('not-found', `There is nothing at ${request.method} ${request.url.split('?')[0]}`)),
  )
  app.addHook('onRequest', async (_request, reply) => void reply.headers(SECURITY_HEADERS))
  app.register(cookie)
  app.register(rateLimit, { global: false })
  app.register(swagger, {
    openapi: { openapi: '3.1.0', info: { title: 'Slipway', version: '1' } },
    transform: jsonSchemaTransform,
  })
  const metrics = meterRequests(app, deps)
  app.register(async (scope) => healthRoutes(scope, deps, metrics))
  app.register(async (scope) => hookRoutes(scope, deps))
  app.register(async (scope) => restRoutes(scope, deps, closing.signal))
  app.register(async (scope) => gitRoutes(scope, deps))
  app.register(async (scope) => registryRoutes(scope, deps))
  app.register(async (scope) => dashboardRoutes(scope, deps))
  return app
}
