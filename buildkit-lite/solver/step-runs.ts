import { availableParallelism } from 'node:os'
import { SlipwayError } from '#domain/errors'
import type { BuildRequest, BuildTools, CachedStep } from '../contract.ts'
import type { PlanStep } from '../plan/plan.ts'
import { executeStep, type StepEnds } from './execute-step.ts'
import { mayReuse, type Probe, remember } from './probe-cache.ts'
import { createSemaphore } from './semaphore.ts'
import type { StepKey } from './step-key.ts'
import type { StepScope } from './step-scope.ts'
import type { SolvedStep } from './step-state.ts'
import { trackUnfinishedLayers } from './unfinished-layers.ts'

/** Results by step key: what one build does only once, on whichever of its platforms' graphs. */
export type SolveTwins = Map<string, Promise<CachedStep>>

interface RunOptions {
  request: BuildRequest
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
  readonly #slots = createSemaphore(Math.max(2, availableParallelism()))
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
    const key = probe.keys[0]?.key ?? ''
    const twin = twins.get(key)
    if (twin) return { ...(await remembered(await twin)), isCached: true }
    const { promise: files, resolve: onFiles } = Promise.withResolvers<CachedStep>()
    const whole = this.#execute({ index, step, scope }, probe, onFiles)
    twins.set(key, whole)
    const first = this.#unfinished.first(files, whole.then(remembered), (error) => onLateFailure(index, error))
    return { ...(await first), isCached: false }
  }

  /** Waits until no layer is being made any more, well or ill. */
  async settle(): Promise<void> {
    await this.#unfinished.settle()
  }

  /** The step with the layers that were made, when all is settled and well. */
  finished(solved: SolvedStep): SolvedStep {
    return { ...solved, chain: this.#unfinished.finish(solved.chain) }
  }

  async #execute(
    { index, step, scope }: Subject,
    probe: Extract<Probe, { kind: 'miss' }>,
    onFiles: StepEnds['onFiles'],
  ): Promise<CachedStep> {
    const { request, tools, signal, onStarted } = this.#options
    const { operation, stage } = step
    if (operation.kind === 'base') throw new SlipwayError('internal', 'A base image is nothing to execute')
    using slot = await this.#slots.acquire(signal)
    const ends: StepEnds = {
      layerSlots: this.#layerSlots,
      onFiles: (step) => {
        // What is left to do is bounded by itself.
        slot[Symbol.dispose]()
        onFiles(step)
      },
    }
    const work = async (signal: AbortSignal): Promise<CachedStep> => {
      const result = await executeStep(scope, operation, ends, signal)
      await remember(scope, probe.keys, result)
      return result
    }
    await onStarted(index, probe.reason)
    // Without the cache a step has to run for this very build.
    if (!mayReuse(request, stage)) return await work(signal)
    return await tools.sharedWork.share(`step ${request.cacheScope} ${probe.keys[0]?.key}`, work, signal)
  }
}
