import type { BuildRequest, BuildTools } from './contract.ts'
import type { ParsedDockerfile } from './dockerfile/parse.ts'
import { hostPlatform } from './host-platform.ts'
import type { Linter } from './lint/linter.ts'
import type { Plan } from './plan/plan.ts'
import { planDockerfile } from './plan/plan-dockerfile.ts'
import type { PlanInput } from './plan/plan-input.ts'
import { readDockerfile } from './read-dockerfile.ts'
import type { Registry } from './registry/contract.ts'
import { createImageResolver, planContexts } from './solver/resolve-image.ts'

export interface PlanTools extends Pick<BuildTools, 'registry'> {
  /** Collects what the rules have to say, also of a Dockerfile that cannot be planned. */
  lint: Linter
  /** Plans also what the target does not need. */
  allStages?: boolean
}

export interface ReadyPlan {
  plan: Plan
  dockerfile: ParsedDockerfile
}

/** Reads the Dockerfile of a build and plans it; nothing is fetched but what describes images. */
export async function makePlan(request: BuildRequest, tools: PlanTools, signal: AbortSignal): Promise<ReadyPlan> {
  const { lint, registry, allStages = false } = tools
  const dockerfile = await readDockerfile({ ...request, lint }, signal)
  lint.useIgnoreFile(await request.context.ignoreRules(signal))
  const plan = await planDockerfile({ ...planInput(request, dockerfile, registry), lint, allStages }, signal)
  const violations = lint.failure()
  if (violations) throw violations
  return { plan, dockerfile }
}

/** What a plan depends on, of all that a build is asked for. */
export function planInput(request: BuildRequest, dockerfile: ParsedDockerfile, registry: Registry): PlanInput {
  const { target, buildArgs, labels, platform, network } = request
  return {
    dockerfile,
    target,
    buildArgs,
    labels,
    platform,
    buildPlatform: hostPlatform(),
    network,
    namedContexts: planContexts(request.namedContexts),
    resolver: createImageResolver(registry),
  }
}
