import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { SlipwayError } from '#domain/errors'
import type { ProjectName } from '#domain/ids'
import { TriggerToken } from '#domain/trigger-token'
import type { ApiDeps } from '../deps.ts'
import { ProjectParams, projectName } from './shapes.ts'

const tags = ['triggers']
const Wanted = z.object({ label: z.string().max(128).default('') })
const Made = TriggerToken.extend({
  /** Shown this once. */
  token: z.string(),
  url: z.string(),
})

/** Tokens of trigger URLs, `POST /hooks/NS/NAME/trigger/TOKEN`. */
export function triggerRoutes(app: FastifyInstance, { store, config }: ApiDeps): void {
  const routes = app.withTypeProvider<ZodTypeProvider>()
  const path = '/api/v1/projects/:ns/:name/triggers'
  const existing = async (name: ProjectName): Promise<ProjectName> => {
    if (!(await store.projects.get(name))) throw new SlipwayError('not-found', `There is no project ${name}`)
    return name
  }

  routes.get(
    path,
    { schema: { tags, params: ProjectParams, response: { 200: z.object({ items: z.array(TriggerToken) }) } } },
    async (request) => ({ items: await store.triggers.list(await existing(projectName(request.params))) }),
  )

  routes.post(
    path,
    { schema: { tags, params: ProjectParams, body: Wanted, response: { 201: Made } } },
    async (request, reply) => {
      const project = await existing(projectName(request.params))
      const { secret, ...token } = await store.triggers.create(project, request.body.label, Date.now())
      const url = `${config.baseUrl}/hooks/${project}/trigger/${secret}`
      return reply.code(201).send({ ...token, token: secret, url })
    },
  )

  routes.delete(
    `${path}/:id`,
    { schema: { tags, params: ProjectParams.extend({ id: z.string() }) } },
    async (request, reply) => {
      const project = await existing(projectName(request.params))
      if (!(await store.triggers.revoke(project, request.params.id)))
        throw new SlipwayError('not-found', `Project ${project} has no trigger token ${request.params.id}`)
      return reply.code(204).send()
    },
  )
}
