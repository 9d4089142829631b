import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { decide } from '#domain/decide'
import { SlipwayError } from '#domain/errors'
import { CommitSha } from '#domain/ids'
import { BuildRule } from '#domain/project'
import { isRefName } from '#domain/push'
import { findRuleConflicts } from '#domain/rule-mistakes'
import type { ApiDeps } from '../deps.ts'
import { checkRules } from '../projects/check-rules.ts'
import { ProjectParams, projectName } from './shapes.ts'

const Simulation = z.object({
  kind: z.enum(['branch', 'tag', 'pull-request']),
  /** A branch or tag; for a pull request the branch that it wants to go into. */
  ref: z.string().min(1).max(1024),
  commit: CommitSha.optional(),
  /** Message of the commit, in which `[skip ci]` is looked for. */
  message: z.string().max(100_000).optional(),
  /** Paths that the push changes; every path filter passes if absent. */
  changedPaths: z.array(z.string().max(4096)).max(10_000).optional(),
  /** Rules to try before they are saved; the project's own if absent. */
  rules: z.array(BuildRule).max(64).optional(),
})
const Outcome = z.object({
  rule: z.number(),
  matches: z.boolean(),
  tags: z.array(z.string()),
  push: z.boolean(),
  reason: z.string(),
})

export function ruleRoutes(app: FastifyInstance, { store }: ApiDeps): void {
  const schema = {
    tags: ['projects'],
    params: ProjectParams,
    body: Simulation,
    response: { 200: z.object({ outcomes: z.array(Outcome), warnings: z.array(z.string()) }) },
  }
  app
    .withTypeProvider<ZodTypeProvider>()
    .post('/api/v1/projects/:ns/:name/rules/simulate', { schema }, async (request) => {
      const name = projectName(request.params)
      const project = await store.projects.get(name)
      if (!project) throw new SlipwayError('not-found', `There is no project ${name}`)
      const rules = request.body.rules ?? project.rules
      checkRules(rules)
      return { outcomes: simulate(rules, request.body), warnings: findRuleConflicts(rules) }
    })
}

/** What each rule would do with a ref, without doing it. */
function simulate(rules: readonly BuildRule[], asked: z.infer<typeof Simulation>) {
  const name = asked.ref.replace(/^refs\/(?:heads|tags)\//, '')
  if (!isRefName(`refs/${asked.kind === 'tag' ? 'tags' : 'heads'}/${name}`))
    throw new SlipwayError('invalid', `"${asked.ref}" is no name of a ${asked.kind === 'tag' ? 'tag' : 'branch'}`)
  const event = {
    source: asked.kind,
    name,
    sha: asked.commit ?? null,
    message: asked.message ?? null,
    changedPaths: asked.changedPaths ?? null,
    isManual: false,
  }
  return decide(event, rules)
}
