import { openSys } from '#host/sys'
import type { BuildRequest, BuildTools, BuiltImage } from './contract.ts'
import type { ParsedDockerfile } from './dockerfile/parse.ts'
import { composeImage } from './image/compose-image.ts'
import { fillHistory, type StepLayer } from './image/fill-history.ts'
import type { Plan, Platform } from './plan/plan.ts'
import { planDockerfile } from './plan/plan-dockerfile.ts'
import { readDockerfile } from './read-dockerfile.ts'
import { EMPTY_CHAIN } from './solver/chain.ts'
import { checkEntitlements } from './solver/entitlements.ts'
import { repositoryOf } from './solver/image-blobs.ts'
import { openLayer } from './solver/layer-files.ts'
import { createImageResolver, planContexts } from './solver/resolve-image.ts'
import { reapScratch } from './solver/scratch.ts'
import { type SolvedStep, solve } from './solver/solve.ts'
import { cancelledError } from './solver/step-errors.ts'

/**
 * Builds an image: reads and plans the Dockerfile, solves the plan, composes manifest and config. Nothing is pushed;
 * the layers that were made are in the blob store, those of the base image may still be where they came from.
 */
export async function build(request: BuildRequest, tools: BuildTools, signal: AbortSignal): Promise<BuiltImage> {
  try {
    await reapScratch(openSys(), tools.stateDir)
    const dockerfile = await readDockerfile(request, signal)
    const plan = await makePlan(request, dockerfile, tools, signal)
    await tools.report({ kind: 'planned', plan })
    checkEntitlements(plan, request, dockerfile.source)
    const solved = await solve(plan, { request, source: dockerfile.source }, tools, signal)
    return compose(plan, solved, tools)
  } catch (error) {
    if (signal.aborted) throw cancelledError(signal.reason)
    throw error
  }
}

/** The platform of this machine. */
export function hostPlatform(): Platform {
  const architectures: Partial<Record<NodeJS.Architecture, string>> = { x64: 'amd64', ia32: '386' }
  return { os: 'linux', architecture: architectures[process.arch] ?? process.arch }
}

async function makePlan(
  request: BuildRequest,
  dockerfile: ParsedDockerfile,
  tools: BuildTools,
  signal: AbortSignal,
): Promise<Plan> {
  const { target, buildArgs, labels, platform, network } = request
  const resolver = createImageResolver(tools.registry)
  const namedContexts = planContexts(request.namedContexts)
  const buildPlatform = hostPlatform()
  return await planDockerfile(
    { dockerfile, target, buildArgs, labels, platform, buildPlatform, network, namedContexts, resolver },
    signal,
  )
}

function compose(plan: Plan, solved: readonly SolvedStep[], tools: BuildTools): BuiltImage {
  const { fileSystem } = plan.target
  const chain = fileSystem === null ? EMPTY_CHAIN : (solved[fileSystem]?.chain ?? EMPTY_CHAIN)
  const base = chain.layers.filter(({ source }) => source !== null)
  const stepLayers = new Map<number, StepLayer>()
  for (const [index, step] of solved.entries()) {
    const layer = step.chain.layers.at(-1)?.layer
    if (layer && step.createdAtMs !== null) stepLayers.set(index, { layer, createdAtMs: step.createdAtMs })
  }
  const { entries, created } = fillHistory(plan.target.history, stepLayers)
  const layers = chain.layers.map(({ layer }) => layer)
  const image = composeImage({ plannedConfig: plan.target.config, history: entries, layers, created })
  const byDigest = new Map(chain.layers.map((one) => [one.layer.descriptor.digest, one]))
  return {
    ...image,
    content: {
      open: async (layer, signal) =>
        await openLayer(tools, byDigest.get(layer.descriptor.digest) ?? { layer, source: null }, signal),
    },
    baseRepository: base[0]?.source ? repositoryOf(base[0].source) : null,
  }
}
