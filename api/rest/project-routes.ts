import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { SlipwayError } from '#domain/errors'
import { ProjectName } from '#domain/ids'
import { matchRules } from '#domain/match-rules'
import { BuildRule, Project, ProjectChange } from '#domain/project'
import { isRefName } from '#domain/push'
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
const Simulation = z.object({ kind: z.enum(['branch', 'tag', 'pull-request']), ref: z.string().min(1).max(1024) })
const Outcome = z.object({ rule: z.number(), matches: z.boolean(), tags: z.array(z.string()), reason: z.string() })

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

  routes.post(
    `${one}/rules/simulate`,
    {
      schema: {
        tags,
        params: ProjectParams,
        body: Simulation.extend({ rules: z.array(BuildRule).max(64).optional() }),
        response: { 200: z.object({ outcomes: z.array(Outcome) }) },
      },
    },
    async (request) => {
      const project = await existing(deps, projectName(request.params))
      return { outcomes: simulate(request.body.rules ?? project.rules, request.body) }
    },
  )
}

async function existing(deps: ApiDeps, name: ProjectName): Promise<Project> {
  const project = await deps.store.projects.get(name)
  if (!project) throw new SlipwayError('not-found', `There is no project ${name}`)
  return project
}

/** What each rule would do with a ref, without doing it. */
function simulate(rules: readonly BuildRule[], asked: z.infer<typeof Simulation>) {
  const name = asked.ref.replace(/^refs\/(?:heads|tags)\//, '')
  if (asked.kind === 'pull-request')
    return rules.map((_, rule) => ({ rule, matches: false, tags: [], reason: 'pull requests make no builds yet' }))
  if (!isRefName(`refs/${asked.kind === 'tag' ? 'tags' : 'heads'}/${name}`))
    throw new SlipwayError('invalid', `"${asked.ref}" is no name of a ${asked.kind}`)
  const ref = { source: asked.kind, name, sha: null, message: null, changedPaths: null, isManual: false }
  return matchRules(rules, ref)
}
