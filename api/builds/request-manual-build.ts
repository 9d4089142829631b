import { z } from 'zod'
import type { Build, BuildOrder } from '#domain/build'
import { decide, type RuleOutcome } from '#domain/decide'
import { SlipwayError } from '#domain/errors'
import { BuildId, type CommitSha, type ProjectName } from '#domain/ids'
import { Tag } from '#domain/image-reference'
import type { Project } from '#domain/project'
import { newId } from '#host/new-id'
import type { ApiDeps } from '../deps.ts'
import { orderPart } from './request-builds.ts'
import { type ResolvedRef, resolveRef } from './resolve-ref.ts'

export const ManualBuild = z.object({
  /** A branch, a tag, a full ref or a commit; the default branch if absent. */
  ref: z.string().min(1).max(1024).optional(),
  /** Index of the rule to build by; the first that matches the ref if absent. */
  rule: z.number().int().nonnegative().optional(),
  target: z.string().max(128).nullable().optional(),
  noCache: z.boolean().optional(),
  buildArgs: z.record(z.string(), z.string()).optional(),
  push: z.boolean().optional(),
})
export type ManualBuild = z.infer<typeof ManualBuild>

/** Queues one build because a person asks for it. */
export async function requestManualBuild(deps: ApiDeps, name: ProjectName, wanted: ManualBuild): Promise<Build> {
  const project = await deps.store.projects.get(name)
  if (!project) throw new SlipwayError('not-found', `There is no project ${name}`)
  const resolved = await resolveRef(deps.config.dataDir, project, wanted.ref ?? project.defaultBranch)
  const byRule = ruleFor(project, resolved, wanted)
  const order: Omit<BuildOrder, 'number'> = {
    id: BuildId.parse(newId('bld')),
    project: project.name,
    trigger: 'manual',
    ref: resolved.ref,
    commit: resolved.commit,
    message: resolved.message,
    author: resolved.author,
    ...byRule,
    target: wanted.target === undefined ? byRule.target : wanted.target,
    buildArgs: { ...byRule.buildArgs, ...wanted.buildArgs },
    useCache: byRule.useCache && wanted.noCache !== true,
    push: wanted.push ?? byRule.push,
  }
  const [build] = await deps.store.builds.enqueue([order], Date.now())
  if (!build) throw new SlipwayError('internal', `Build ${order.id} was queued, but the store returned none`)
  return build
}

type OrderPart = Omit<ReturnType<typeof orderPart>, 'rule'> & { rule: number | null }

function ruleFor(project: Project, resolved: ResolvedRef, wanted: ManualBuild): OrderPart {
  const { source, commit } = resolved
  const ref = source && { ...source, sha: commit, message: null, changedPaths: null, isManual: true }
  const outcomes: RuleOutcome[] = ref ? decide(ref, project.rules) : []
  const chosen = outcomes.find(({ rule, matches }) => (wanted.rule === undefined ? matches : rule === wanted.rule))
  const rule = chosen && project.rules[chosen.rule]
  if (wanted.rule !== undefined && (!chosen?.matches || !rule))
    throw new SlipwayError(
      'invalid',
      `Rule ${wanted.rule} does not build ${resolved.ref}: ${chosen?.reason ?? 'no such rule'}`,
    )
  return chosen && rule ? orderPart(rule, chosen) : withoutRule(commit)
}

/** What no rule speaks of is built as a plain `docker build`, and tagged with its commit alone. */
function withoutRule(commit: CommitSha): OrderPart {
  const plain = { dockerfile: 'Dockerfile', context: '/', target: null, buildArgs: {}, useCache: true, push: true }
  return { ...plain, rule: null, tags: [Tag.parse(commit)], deploy: [] }
}
