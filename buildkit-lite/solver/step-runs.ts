import { availableParallelism } from 'node:os'
import { SlipwayError } from '#domain/errors'
import type { BuildTools, CachedStep } from '../contract.ts'
import type { PlanStep } from '../plan/plan.ts'
import { type Probe, remember } from './probe-cache.ts'
import { runStep, type StepEnd, type StepNews } from './run-step.ts'
import { createSemaphore } from './semaphore.ts'
import type { StepKey } from './step-key.ts'
import type { StepScope } from './step-scope.ts'
import type { SolvedStep } from './step-state.ts'
import { trackUnfinishedLayers } from './unfinished-layers.ts'

/** Results by step key: what one build does only once, on whichever of its platforms' graphs. */
export type SolveTwins = Map<string, Promise<CachedStep>>

interface RunOptions {
  tools: BuildTools
  twins: SolveTwins
  signal: AbortSignal
  onStarted: (index: number, missReason: string) => Promise<void>
  /** A layer could not be made although steps on top of it have started. */
  onLateFailure: (index: number, error: unknown) => void
}

interface Subject {
  index: number
  step: PlanStep
  scope: StepScope
}

/** Carries out the steps of one graph that the cache does not have, within the builder's limits. */
export class StepRuns {
  readonly #options: RunOptions
  /** Steps mostly wait for networks and disks; what computes shares the processors by its control group. */
  readonly #slots = createSemaphore(Math.max(8, 2 * availableParallelism()))
  readonly #layerSlots = createSemaphore(Math.max(2, availableParallelism()))
  readonly #unfinished = trackUnfinishedLayers()

  constructor(options: RunOptions) {
    this.#options = options
  }

  /**
   * What the step makes: as soon as its files can be used, while its layer is still being made. `keys` are further ones
   * to keep the result under once it is complete.
   */
  async resultOf(
    { index, step, scope }: Subject,
    probe: Probe,
    keys: readonly StepKey[],
  ): Promise<CachedStep & { isCached: boolean }> {
    const { twins, onLateFailure } = this.#options
    const remembered = async (result: CachedStep): Promise<CachedStep> => {
      await remember(scope, keys, result)
      return result
    }
    if (probe.kind === 'hit') return { ...(await remembered(probe.step)), isCached: true }
    // Identical steps of one build are one step.
    const own = probe.keys.map(({ key }) => key)
    const twin = own.map((key) => twins.get(key)).find((one) => one !== undefined)
    if (twin) return { ...(await remembered(await twin)), isCached: true }
    const { promise: files, resolve: onFiles } = Promise.withResolvers<CachedStep>()
    let isCached = false
    const whole = this.#run({ index, step, scope }, probe, onFiles).then(({ result, isFound }) => {
      isCached = isFound
      return result
    })
    for (const key of own) twins.set(key, whole)
    const first = await this.#unfinished.first(files, whole.then(remembered), (error) => onLateFailure(index, error))
    return { ...first, isCached }
  }

  /** Waits until no layer is being made any more, well or ill. */
  async settle(): Promise<void> {
    await this.#unfinished.settle()
  }

  /** The step with the layers that were made, when all is settled and well. */
  finished(solved: SolvedStep): SolvedStep {
    return { ...solved, chain: this.#unfinished.finish(solved.chain) }
  }

  async #run(
    { index, step, scope }: Subject,
    probe: Extract<Probe, { kind: 'miss' }>,
    onFiles: (step: CachedStep) => void,
  ): Promise<StepEnd> {
    const { tools, signal, onStarted } = this.#options
    const { operation } = step
    if (operation.kind === 'base') throw new SlipwayError('internal', 'A base image is nothing to execute')
    let heard: StepNews['kind'] | null = null
    const follow = async (news: StepNews): Promise<void> => {
      if (news.kind === 'output') return await tools.report({ ...news, step: index })
      // It begins anew where the build that ran it for us was cancelled. What is made of its first files cannot.
      if (heard === 'files') throw new SlipwayError('unavailable', `The layer of "${step.title}" was not completed`)
      if (news.kind === 'files') onFiles(news.step)
      else if (heard === null) await onStarted(index, probe.reason)
      heard = news.kind
    }
    const [slots, layerSlots] = [this.#slots, this.#layerSlots]
    return await runStep({ scope, operation, keys: probe.keys, slots, layerSlots }, follow, signal)
  }
}
