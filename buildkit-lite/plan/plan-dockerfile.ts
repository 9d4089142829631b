import { SlipwayError } from '#domain/errors'
import { buildStages } from './build-stages.ts'
import type { Plan, PlannedImage } from './plan.ts'
import type { PlanInput } from './plan-input.ts'
import { expandGlobals, readGraph } from './read-stages.ts'
import { resolveImages } from './resolve-images.ts'
import { readSourceDate } from './source-date.ts'
import type { StageState } from './stage-state.ts'

/** Plans what the target needs: resolves the images behind its stages, then carries out every instruction on paper. */
export async function planDockerfile(input: PlanInput, signal: AbortSignal): Promise<Plan> {
  const globals = expandGlobals(input)
  const graph = readGraph(input, globals)
  const target = graph.target(input.target)
  graph.checkOrder(target)
  const images = await resolveImages(input, graph, target, signal)
  // Triggers of base images may have added needs.
  graph.checkOrder(target)
  const { steps, states } = buildStages(input, globals, { graph, target, images })
  const state = states.get(target)
  if (!state) throw new SlipwayError('internal', `Stage ${target.label} was not planned`)
  return { steps, target: finish(state, input.labels), warnings: [], sourceDateEpoch: readSourceDate(input.buildArgs) }
}

/** Labels of the request come last and have no history. */
function finish(state: StageState, labels: Readonly<Record<string, string>>): PlannedImage {
  const all = Object.entries({ ...state.config.Labels, ...labels }).sort(([a], [b]) => (a < b ? -1 : 1))
  if (all.length > 0) state.config.Labels = Object.fromEntries(all)
  return { fileSystem: state.fileSystem, config: { ...state.image, config: state.config }, history: state.history }
}
