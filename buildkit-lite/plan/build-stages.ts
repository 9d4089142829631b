import { SlipwayError } from '#domain/errors'
import type { StageLint } from '../lint/lint-stage.ts'
import type { CopyOrigin, PlanStep, ResolvedImage } from './plan.ts'
import type { PlanInput } from './plan-input.ts'
import { type ImageOrigin, imageKey } from './resolve-images.ts'
import { buildStage, type PlanContext } from './stage-builder.ts'
import type { Origin, StageGraph, StageNode } from './stage-graph.ts'
import { childState, imageState, type StageState, scratchState } from './stage-state.ts'

/** The values that are known before any stage. */
export interface Scope {
  /** Global ARGs and the automatic ones. */
  globals: ReadonlyMap<string, string>
  buildArgs: Readonly<Record<string, string>>
  sourceDateEpoch: number | null
}

/** Stages in order, with every image they need at hand. */
export interface ReadyStages {
  graph: StageGraph
  target: StageNode
  images: ReadonlyMap<string, ResolvedImage>
}

/** Carries out the stages that the target needs and collects their steps. */
export function buildStages(input: PlanInput, { globals, buildArgs, sourceDateEpoch }: Scope, ready: ReadyStages) {
  const collector = new StepCollector(ready.images)
  const { source, directives } = input.dockerfile
  const context: PlanContext = {
    source,
    escape: directives.escape,
    globals,
    buildArgs,
    network: input.network,
    sourceDateEpoch,
    addStep: (step) => collector.add(step),
    originOf: (origin) => collector.originOf(origin),
    findFrom: (name, _stage, numbers) => ready.graph.findFrom(name, numbers),
  }
  const lints = new Map<StageNode, StageLint>()
  for (const stage of withRoots(ready)) {
    const state = collector.start(stage)
    const base = stage.base.kind === 'stage' ? (lints.get(stage.base.stage) ?? null) : null
    const lint = input.lint?.openStage(base) ?? null
    if (lint) lints.set(stage, lint)
    buildStage(context, stage, state, lint)
    collector.states.set(stage, state)
  }
  return { steps: collector.steps, states: collector.states, sharing: [...collector.sharing] }
}

/** Files that stand in for a stage are copied to a root only where something is built on them. */
function withRoots({ graph, target }: ReadyStages): StageNode[] {
  const stages = graph.reachable(target)
  const bases = new Set(stages.flatMap(({ base }) => (base.kind === 'stage' ? [base.stage] : [])))
  return stages.filter((stage) => stage === target || bases.has(stage) || contextOf(stage) === null)
}

/** The named context that stands in for a stage; null where it is a stage of its own. */
function contextOf({ base, isReplaced }: StageNode): string | null {
  return isReplaced && base.kind === 'context' ? base.name : null
}

class StepCollector {
  readonly steps: PlanStep[] = []
  readonly states = new Map<StageNode, StageState>()
  /** Labels of stages whose FROM is another stage's step. */
  readonly sharing = new Set<string>()
  readonly #images: ReadonlyMap<string, ResolvedImage>
  readonly #bases = new Map<string, number>()

  constructor(images: ReadonlyMap<string, ResolvedImage>) {
    this.#images = images
  }

  add(step: PlanStep): number {
    return this.steps.push(step) - 1
  }

  /** The state a stage begins with. ONBUILD of its base fires in this stage and is not handed on. */
  start(stage: StageNode): StageState {
    const state = this.#startOf(stage)
    delete state.config.OnBuild
    return state
  }

  #startOf(stage: StageNode): StageState {
    const { base, platform, label, parsed } = stage
    switch (base.kind) {
      case 'scratch':
        return scratchState(platform)
      case 'stage':
        return childState(this.#stateOf(base.stage))
      case 'image': {
        const { image, step } = this.#base(base, label, parsed.first)
        if (this.steps[step]?.stage !== label) this.sharing.add(label)
        return imageState(image, step, platform)
      }
      case 'context':
        return this.#contextState(stage, base.name)
      default:
        return base satisfies never
    }
  }

  /** The files behind a name in `--from`. */
  originOf(origin: Origin): CopyOrigin {
    switch (origin.kind) {
      case 'scratch':
        return { kind: 'step', fileSystem: null }
      case 'context':
        return { kind: 'context', name: origin.name }
      case 'stage': {
        const name = contextOf(origin.stage)
        if (name !== null) return { kind: 'context', name }
        return { kind: 'step', fileSystem: this.#stateOf(origin.stage).fileSystem }
      }
      case 'image':
        return { kind: 'step', fileSystem: this.#base(origin, 'context', null).step }
      default:
        return origin satisfies never
    }
  }

  #stateOf(stage: StageNode): StageState {
    const state = this.states.get(stage)
    if (!state) throw new SlipwayError('internal', `Stage ${stage.label} is used before it is planned`)
    return state
  }

  #base(origin: ImageOrigin, stage: string, line: number | null): { image: ResolvedImage; step: number } {
    const key = imageKey(origin)
    const image = this.#images.get(key)
    if (!image) throw new SlipwayError('internal', `Image ${key} was not resolved`)
    const known = this.#bases.get(key)
    if (known !== undefined) return { image, step: known }
    const step = this.add({ stage, title: `FROM ${image.reference}`, line, operation: { kind: 'base', image } })
    this.#bases.set(key, step)
    return { image, step }
  }

  /** Its layer has an entry of the history, as every layer, though no instruction made it. */
  #contextState(stage: StageNode, name: string): StageState {
    const state = scratchState(stage.platform)
    state.fileSystem = this.#contextStep(stage, name)
    const entry = { created_by: `FROM ${name}`, comment: 'buildkit.exporter.image.v0' }
    state.history.push({ entry, step: state.fileSystem })
    return state
  }

  /** A directory of files as a stage's base: all of it, copied to an empty root. */
  #contextStep(stage: StageNode, name: string): number {
    const { label, parsed } = stage
    return this.add({
      stage: label,
      title: `FROM ${name}`,
      line: parsed.first,
      operation: {
        kind: 'copy',
        input: null,
        from: { kind: 'context', name },
        sources: [{ kind: 'path', path: '/' }],
        destination: '/',
        chown: null,
        chmod: null,
        link: false,
        parents: false,
        exclude: [],
        unpack: 'never',
      },
    })
  }
}
