import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { z } from 'zod'
import { Build, BuildStatus } from '#domain/build'
import { SlipwayError } from '#domain/errors'
import { cancelBuild } from '../builds/cancel-build.ts'
import { ManualBuild, requestManualBuild } from '../builds/request-manual-build.ts'
import { retryBuild } from '../builds/retry-build.ts'
import type { ApiDeps } from '../deps.ts'
import { BuildParams, buildId, PageQuery, ProjectParams, pageOf, projectName } from './shapes.ts'

const tags = ['builds']
const ListQuery = PageQuery.extend({ status: BuildStatus.optional() })

export function buildRoutes(app: FastifyInstance, deps: ApiDeps): void {
  const routes = app.withTypeProvider<ZodTypeProvider>()
  const { store } = deps
  const list = (query: z.infer<typeof ListQuery>, params: z.infer<typeof ProjectParams> | null) => {
    const filter = {
      ...(params ? { project: projectName(params) } : {}),
      ...(query.status ? { status: query.status } : {}),
    }
    return store.builds.list(filter, query.cursor ?? null, query.limit)
  }

  routes.get(
    '/api/v1/builds',
    { schema: { tags, querystring: ListQuery, response: { 200: pageOf(Build) } } },
    async (request) => list(request.query, null),
  )

  const ofProject = '/api/v1/projects/:ns/:name/builds'
  routes.get(
    ofProject,
    { schema: { tags, params: ProjectParams, querystring: ListQuery, response: { 200: pageOf(Build) } } },
    async (request) => {
      const name = projectName(request.params)
      if (!(await store.projects.get(name))) throw new SlipwayError('not-found', `There is no project ${name}`)
      return list(request.query, request.params)
    },
  )

  routes.post(
    ofProject,
    { schema: { tags, params: ProjectParams, body: ManualBuild, response: { 201: Build } } },
    async (request, reply) => {
      const build = await requestManualBuild(deps, projectName(request.params), request.body)
      return reply.code(201).send(build)
    },
  )

  const one = '/api/v1/builds/:id'
  routes.get(one, { schema: { tags, params: BuildParams, response: { 200: Build } } }, async (request) => {
    const build = await store.builds.get(buildId(request.params))
    if (!build) throw new SlipwayError('not-found', `There is no build ${request.params.id}`)
    return build
  })

  routes.post(`${one}/cancel`, { schema: { tags, params: BuildParams, response: { 200: Build } } }, async (request) =>
    cancelBuild(store, buildId(request.params)),
  )

  routes.post(
    `${one}/retry`,
    { schema: { tags, params: BuildParams, response: { 201: Build } } },
    async (request, reply) => reply.code(201).send(await retryBuild(store, buildId(request.params))),
  )
}
