import { createHash } from 'node:crypto'
import type { Build, BuildOrder } from '#domain/build'
import { decide, type RuleOutcome, type SourceEvent } from '#domain/decide'
import type { Ignored } from '#domain/delivery'
import { BuildId, type CommitSha } from '#domain/ids'
import type { BuildRule, Project } from '#domain/project'
import type { Store } from '#store/contract'

export interface BuildRequest {
  project: Project
  ref: string
  source: Pick<SourceEvent, 'source' | 'name'>
  commit: CommitSha
  message: string | null
  author: string | null
  changedPaths: readonly string[] | null
  /** Names the event: the same key asks for the same builds, however often it comes. */
  key: string
  /** `push` if not said. */
  trigger?: BuildOrder['trigger']
  isFork?: boolean
  /** Further reason not to build by a rule that matches; null for none. */
  leaveOut?: (outcome: RuleOutcome) => string | null
}

export interface RequestedBuilds {
  builds: Build[]
  ignored: Ignored[]
}

/** Queues a build for each rule that matches the event, and says of the others why not. */
export async function requestBuilds(store: Store, request: BuildRequest): Promise<RequestedBuilds> {
  const { project, source, commit, message, changedPaths, leaveOut } = request
  const orders: Omit<BuildOrder, 'number'>[] = []
  const ignored: Ignored[] = []
  for (const outcome of decide({ ...source, sha: commit, message, changedPaths, isManual: false }, project.rules)) {
    const reason = outcome.matches ? (leaveOut?.(outcome) ?? null) : outcome.reason
    if (reason === null) orders.push(orderOf(request, outcome))
    else ignored.push({ rule: outcome.rule, reason })
  }
  return { builds: orders.length > 0 ? await store.builds.enqueue(orders, Date.now()) : [], ignored }
}

/** The part of an order that a rule decides. */
export function orderPart(rule: BuildRule, outcome: RuleOutcome) {
  return {
    rule: outcome.rule,
    tags: outcome.tags,
    dockerfile: rule.dockerfile,
    context: rule.context,
    target: rule.target,
    buildArgs: rule.buildArgs,
    useCache: rule.cache,
    push: outcome.push,
    // What is not pushed cannot be rolled out.
    deploy: outcome.push ? rule.deploy : [],
  }
}

function orderOf(request: BuildRequest, outcome: RuleOutcome): Omit<BuildOrder, 'number'> {
  const { project, ref, commit, message, author, key } = request
  const rule = project.rules[outcome.rule]
  if (!rule) throw new RangeError(`Project ${project.name} has no rule ${outcome.rule}`)
  return {
    id: derivedBuildId(project.name, key, outcome.rule),
    project: project.name,
    trigger: request.trigger ?? 'push',
    ref,
    commit,
    message: message?.slice(0, 2000) ?? null,
    author: author?.slice(0, 200) ?? null,
    ...orderPart(rule, outcome),
    ...(request.isFork ? { isFork: true } : {}),
  }
}

/** The same for the same project, event and rule, so that a redelivery makes nothing new. */
function derivedBuildId(project: string, key: string, rule: number): BuildId {
  const hash = createHash('sha256')
    .update(JSON.stringify([project, key, rule]))
    .digest('hex')
  return BuildId.parse(`bld_${BigInt(`0x${hash}`).toString(36).slice(0, 25).padStart(25, '0')}`)
}
