import { randomUUID } from 'node:crypto'
import { explainDiskFull } from '#host/disk-space'
import { openSys } from '#host/sys'
import type { BuiltGraph, BuiltResult, PlatformTools } from './built-result.ts'
import type { BuildRequest, BuildTools, BuiltImage } from './contract.ts'
import { hostPlatform } from './host-platform.ts'
import { DOCKER_TYPES, OCI_TYPES } from './image/media-types.ts'
import { openLinter } from './lint/linter.ts'
import { makePlan, type ReadyPlan } from './make-plan.ts'
import type { Platform } from './plan/plan.ts'
import { createRemoteSources } from './remote/remote-sources.ts'
import { withoutLostLayers } from './remote-cache/lost-layer.ts'
import { sideBySide } from './side-by-side.ts'
import { checkPlatforms } from './solver/check-platforms.ts'
import { readEmulators } from './solver/emulators.ts'
import { checkEntitlements } from './solver/entitlements.ts'
import { reapScratch } from './solver/scratch.ts'
import { solve } from './solver/solve.ts'
import { cancelledError } from './solver/step-errors.ts'
import type { SolveTwins } from './solver/step-runs.ts'
import { writeImage } from './write-image.ts'
import { writeResult } from './write-result.ts'

/**
 * Builds an image: reads and plans the Dockerfile, solves the plan, composes manifest and config. Nothing is pushed;
 * the layers that were made are in the blob store, those of the base image may still be where they came from.
 */
export async function build(request: BuildRequest, tools: BuildTools, signal: AbortSignal): Promise<BuiltImage> {
  return await inBuild(tools, signal, async () => {
    const graph = await solveGraph(request, tools, { invocationId: randomUUID(), twins: new Map() }, signal)
    const types = request.image.ociMediaTypes ? OCI_TYPES : DOCKER_TYPES
    return (await writeImage(graph, request.image, { tools, types }, signal)).image
  })
}

/**
 * Builds for several platforms side by side, each its own graph; steps that are the same for some of them run once. The
 * first failure ends all. `request.platform` does not count.
 */
export async function buildAll(
  request: BuildRequest,
  platforms: readonly Platform[],
  tools: PlatformTools,
  signal: AbortSignal,
): Promise<BuiltResult> {
  return await inBuild(tools, signal, async () => {
    const graphs = await solveGraphs(request, platforms, tools, signal)
    return await writeResult(graphs, { settings: request.image, names: [] }, tools, signal)
  })
}

async function inBuild<T>(
  { stateDir }: Pick<BuildTools, 'stateDir'>,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  try {
    await reapScratch(openSys(), stateDir)
    return await work()
  } catch (error) {
    if (signal.aborted) throw cancelledError(signal.reason)
    throw await explainDiskFull(error, stateDir)
  }
}

async function solveGraphs(
  request: BuildRequest,
  platforms: readonly Platform[],
  tools: PlatformTools,
  signal: AbortSignal,
): Promise<BuiltGraph[]> {
  const shared = { invocationId: randomUUID(), twins: new Map() }
  return await sideBySide(
    platforms.map((platform) => async (signal: AbortSignal) => {
      const own: BuildTools = { ...tools, report: (event) => tools.report(event, platform) }
      return await solveGraph({ ...request, platform }, own, shared, signal)
    }),
    signal,
  )
}

async function solveGraph(
  request: BuildRequest,
  tools: BuildTools,
  { invocationId, twins }: { invocationId: string; twins: SolveTwins },
  signal: AbortSignal,
): Promise<BuiltGraph> {
  const startedAtMs = tools.now()
  const { plan, dockerfile } = await makeLintedPlan(request, tools, signal)
  const { source } = dockerfile
  await tools.report({ kind: 'planned', plan })
  checkEntitlements(plan, request, source)
  const machine = { platform: hostPlatform(), emulators: await readEmulators() }
  checkPlatforms(plan, { wanted: request.platform, source }, machine)
  const remote = createRemoteSources(request, tools)
  let known = twins
  const solved = await withoutLostLayers(async () => {
    const results = known
    // What failed is not to be found again.
    known = new Map()
    return await solve(plan, { request, source, twins: results, remote }, tools, signal)
  })
  const { platform } = request
  const finishedAtMs = tools.now()
  return { request, platform, plan, solved, source, remote, invocationId, startedAtMs, finishedAtMs, memo: {} }
}

/** Where a mistake keeps the plan from being made, what was warned of until then is told before it. */
async function makeLintedPlan(request: BuildRequest, tools: BuildTools, signal: AbortSignal): Promise<ReadyPlan> {
  const lint = openLinter(request)
  try {
    return await makePlan(request, { registry: tools.registry, lint, fetching: tools }, signal)
  } catch (error) {
    if (lint.warnings.length > 0) await tools.report({ kind: 'warned', warnings: lint.warnings })
    throw error
  }
}
