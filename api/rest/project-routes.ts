import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { SlipwayError } from '#domain/errors'
import { ProjectName } from '#domain/ids'
import { type Project, ProjectChange } from '#domain/project'
import { RepositoryUrl } from '#domain/repository-url'
import type { ApiDeps } from '../deps.ts'
import { checkRules } from '../projects/check-rules.ts'
import { createProject, replaceProject, type WantedProject } from '../projects/create-project.ts'
import { removeProject } from '../projects/remove-project.ts'
import { ProjectView, viewProject } from '../projects/view-project.ts'
import { PageQuery, ProjectParams, pageOf, projectName } from './shapes.ts'

const tags = ['projects']
const Change = ProjectChange.extend({ repository: RepositoryUrl.nullable().optional() })
const Wanted = Change.extend({ name: ProjectName })

export function projectRoutes(app: FastifyInstance, deps: ApiDeps): void {
  const routes = app.withTypeProvider<ZodTypeProvider>()
  const { store } = deps
  const view = (project: Project) => viewProject(deps, project)

  routes.get(
    '/api/v1/projects',
    { schema: { tags, querystring: PageQuery, response: { 200: pageOf(ProjectView) } } },
    async () => ({ items: await Promise.all((await store.projects.list()).map(view)), next: null }),
  )

  routes.post(
    '/api/v1/projects',
    { schema: { tags, body: Wanted, response: { 201: ProjectView } } },
    async (request, reply) => {
      const project = await createProject(store, request.body)
      return reply.code(201).send(await view(project))
    },
  )

  const one = '/api/v1/projects/:ns/:name'
  routes.get(one, { schema: { tags, params: ProjectParams, response: { 200: ProjectView } } }, async (request) =>
    view(await existing(deps, projectName(request.params))),
  )

  routes.put(
    one,
    { schema: { tags, params: ProjectParams, body: Change, response: { 200: ProjectView, 201: ProjectView } } },
    async (request, reply) => {
      const wanted = { ...request.body, name: projectName(request.params) } as WantedProject
      const { project, isNew } = await replaceProject(store, wanted)
      return reply.code(isNew ? 201 : 200).send(await view(project))
    },
  )

  routes.patch(
    one,
    { schema: { tags, params: ProjectParams, body: Change, response: { 200: ProjectView } } },
    async (request) => {
      if (request.body.rules) checkRules(request.body.rules)
      return view(await store.projects.change(projectName(request.params), request.body))
    },
  )

  routes.delete(one, { schema: { tags, params: ProjectParams } }, async (request, reply) => {
    await removeProject(deps, await existing(deps, projectName(request.params)))
    return reply.code(204).send()
  })
}

async function existing(deps: ApiDeps, name: ProjectName): Promise<Project> {
  const project = await deps.store.projects.get(name)
  if (!project) throw new SlipwayError('not-found', `There is no project ${name}`)
  return project
}
