import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { SlipwayError } from '#domain/errors'
import { matchRules } from '#domain/match-rules'
import { BuildRule } from '#domain/project'
import { isRefName } from '#domain/push'
import type { ApiDeps } from '../deps.ts'
import { checkRules } from '../projects/check-rules.ts'
import { ProjectParams, projectName } from './shapes.ts'

const Simulation = z.object({
  kind: z.enum(['branch', 'tag', 'pull-request']),
  ref: z.string().min(1).max(1024),
  /** Rules to try before they are saved; the project's own if absent. */
  rules: z.array(BuildRule).max(64).optional(),
})
const Outcome = z.object({ rule: z.number(), matches: z.boolean(), tags: z.array(z.string()), reason: z.string() })

export function ruleRoutes(app: FastifyInstance, { store }: ApiDeps): void {
  const schema = {
    tags: ['projects'],
    params: ProjectParams,
    body: Simulation,
    response: { 200: z.object({ outcomes: z.array(Outcome) }) },
  }
  app
    .withTypeProvider<ZodTypeProvider>()
    .post('/api/v1/projects/:ns/:name/rules/simulate', { schema }, async (request) => {
      const name = projectName(request.params)
      const project = await store.projects.get(name)
      if (!project) throw new SlipwayError('not-found', `There is no project ${name}`)
      const rules = request.body.rules ?? project.rules
      checkRules(rules)
      return { outcomes: simulate(rules, request.body) }
    })
}

/** What each rule would do with a ref, without doing it. */
function simulate(rules: readonly BuildRule[], asked: z.infer<typeof Simulation>) {
  const name = asked.ref.replace(/^refs\/(?:heads|tags)\//, '')
  if (asked.kind === 'pull-request')
    return rules.map((_, rule) => ({ rule, matches: false, tags: [], reason: 'pull requests make no builds yet' }))
  if (!isRefName(`refs/${asked.kind === 'tag' ? 'tags' : 'heads'}/${name}`))
    throw new SlipwayError('invalid', `"${asked.ref}" is no name of a ${asked.kind}`)
  return matchRules(rules, {
    source: asked.kind,
    name,
    sha: null,
    message: null,
    changedPaths: null,
    isManual: false,
  })
}
