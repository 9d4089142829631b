import type { BuildRequest, BuildTools } from './contract.ts'
import type { ParsedDockerfile } from './dockerfile/parse.ts'
import { hostPlatform } from './host-platform.ts'
import type { Linter } from './lint/linter.ts'
import type { Plan } from './plan/plan.ts'
import { planDockerfile } from './plan/plan-dockerfile.ts'
import type { PlanInput } from './plan/plan-input.ts'
import { readDockerfile } from './read-dockerfile.ts'
import type { Registry } from './registry/contract.ts'
import { createSourceTimestamps } from './remote/source-timestamps.ts'
import { createImageResolver, planContexts } from './solver/resolve-image.ts'

export interface PlanTools extends Pick<BuildTools, 'registry'> {
  /** Collects what the rules have to say, also of a Dockerfile that cannot be planned. */
  lint: Linter
  /** Plans also what the target does not need. */
  allStages?: boolean
  /** What finds out the dates of sources elsewhere; they have none without it. */
  fetching?: Pick<BuildTools, 'stateDir' | 'sharedWork' | 'remote'>
}

export interface ReadyPlan {
  plan: Plan
  dockerfile: ParsedDockerfile
}

/** Reads the Dockerfile of a build and plans it; nothing is fetched but what describes images, and dates are taken from. */
export async function makePlan(request: BuildRequest, tools: PlanTools, signal: AbortSignal): Promise<ReadyPlan> {
  const { lint, registry, allStages = false, fetching = null } = tools
  const dockerfile = await readDockerfile({ ...request, lint }, signal)
  lint.useIgnoreFile(await request.context.ignoreRules(signal))
  const timestamps = createSourceTimestamps(request, fetching)
  const input = { ...planInput(request, dockerfile, registry), timestamps, lint, allStages }
  const plan = await planDockerfile(input, signal)
  const violations = lint.failure()
  if (violations) throw violations
  return { plan, dockerfile }
}

/** What a plan depends on, of all that a build is asked for. */
export function planInput(request: BuildRequest, dockerfile: ParsedDockerfile, registry: Registry): PlanInput {
  const { target, buildArgs, labels, platform, platformGiven = false, network } = request
  return {
    dockerfile,
    target,
    buildArgs,
    labels,
    platform,
    platformGiven,
    buildPlatform: hostPlatform(),
    network,
    namedContexts: planContexts(request.namedContexts),
    resolver: createImageResolver(registry),
  }
}
