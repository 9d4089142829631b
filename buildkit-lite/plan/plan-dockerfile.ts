import { SlipwayError } from '#domain/errors'
import { DockerfileError } from '../dockerfile/errors.ts'
import type { Linter } from '../lint/linter.ts'
import { buildStages } from './build-stages.ts'
import { checkOrder } from './check-order.ts'
import type { Plan, PlannedImage, ResolvedImage } from './plan.ts'
import type { PlanInput } from './plan-input.ts'
import { normalisePlatform } from './platform.ts'
import { expandGlobals, readGraph } from './read-stages.ts'
import { imageKey, resolveImages } from './resolve-images.ts'
import { readScans } from './scan-args.ts'
import { fixSourceDate } from './source-date.ts'
import type { StageNode } from './stage-graph.ts'
import type { StageState } from './stage-state.ts'

/** Plans what the target needs: resolves the images behind its stages, then carries out every instruction on paper. */
export async function planDockerfile(input: PlanInput, signal: AbortSignal): Promise<Plan> {
  lintDefaults(input)
  const scope = await fixSourceDate(input, expandGlobals(input), signal)
  const graph = readGraph(input, scope.globals)
  const target = graph.target(input.target)
  checkOrder(graph, target)
  const images = await resolveImages(input, graph, target, signal)
  // Triggers of base images may have added needs.
  checkOrder(graph, target)
  if (input.lint) lintBases(input.lint, graph.reachable(target), images)
  const { steps, states, sharing } = buildStages(input, scope, { graph, target, images })
  const state = states.get(target)
  if (!state) throw new SlipwayError('internal', `Stage ${target.label} was not planned`)
  return {
    steps,
    ...readScans(states, target),
    ...(sharing.length > 0 ? { stagesOnSharedBases: sharing } : {}),
    target: finish(state, input),
    warnings: input.lint?.warnings ?? [],
    sourceDateEpoch: scope.sourceDateEpoch,
  }
}

/** Mistakes in defaults that are used are found where they are used. */
function lintDefaults(input: PlanInput): void {
  if (!input.lint) return
  try {
    input.lint.readDefaults(input.dockerfile, expandGlobals({ ...input, buildArgs: {} }))
  } catch (error) {
    if (!(error instanceof DockerfileError)) throw error
  }
}

/** Images of named contexts are for whatever platform they were given for. */
function lintBases(lint: Linter, stages: readonly StageNode[], images: ReadonlyMap<string, ResolvedImage>): void {
  for (const { base, parsed } of stages) {
    const image = base.kind === 'image' && !base.resolver ? images.get(imageKey(base)) : undefined
    if (base.kind !== 'image' || !image) continue
    lint.readBase(parsed, { name: base.reference, wanted: base.platform, config: image.config })
  }
}

/** Labels of the request come last and have no history. */
function finish(state: StageState, input: PlanInput): PlannedImage {
  const { config: own } = state
  const labels = { ...own.Labels, ...input.labels }
  if (Object.keys(labels).length > 0) own.Labels = withSortedKeys(labels)
  if (own.ExposedPorts) own.ExposedPorts = withSortedKeys(own.ExposedPorts)
  if (own.Volumes) own.Volumes = withSortedKeys(own.Volumes)
  const { variant: _variant, ...rest } = state.image
  const config = { ...rest, ...platformOf(state, input), config: state.config }
  return { fileSystem: state.fileSystem, config, history: state.history }
}

function withSortedKeys<T>(record: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** What was asked for goes before what the base image says of itself. */
function platformOf({ image }: StageState, { platform, platformGiven }: PlanInput) {
  const { os, architecture, variant } = image
  if (!platformGiven) return normalisePlatform({ os, architecture, ...(variant ? { variant } : {}) })
  const isSame = os === platform.os && architecture === platform.architecture
  const own = platform.variant ?? (isSame ? variant : undefined)
  return normalisePlatform({ os: platform.os, architecture: platform.architecture, ...(own ? { variant: own } : {}) })
}
