import { SlipwayError } from '#domain/errors'
import { openSys } from '#host/sys'
import type { BuildRequest, BuildTools, StepOutcome } from '../contract.ts'
import type { SourceText } from '../dockerfile/errors.ts'
import type { BaseOperation, FileSystem, Plan, PlanStep } from '../plan/plan.ts'
import type { RemoteSources } from '../remote/remote-sources.ts'
import { isLost } from '../remote-cache/lost-layer.ts'
import { type Chain, EMPTY_CHAIN, extendChain } from './chain.ts'
import { NOTHING_FORESEEN, openForesight } from './foresight.ts'
import { createKeyContexts } from './key-contexts.ts'
import { isAvailable } from './layer-files.ts'
import { contextOrigin, createContextTrees, stepOrigin } from './origins.ts'
import { type Probe, probeCache } from './probe-cache.ts'
import { cancelledError, failedOutcome, locateError } from './step-errors.ts'
import { type InputKeys, inputsOf, mayNeedNetwork, stepsBefore } from './step-inputs.ts'
import { digestOf, type KeyContext, lineageOf } from './step-key.ts'
import { type SolveTwins, StepRuns } from './step-runs.ts'
import type { StepScope } from './step-scope.ts'
import { NOT_SOLVED, type SolvedStep, type StepState } from './step-state.ts'

interface Subject {
  request: BuildRequest
  source: SourceText
  /** Shared by the graphs of one build; missing for a build of one. */
  twins?: SolveTwins
  remote: RemoteSources
}

/**
 * Solves a plan: every step as soon as those it uses are solved, side by side. The first failure cancels the others at
 * once. Resolves with what became of each step; on failure everything has ended when it rejects.
 */
export async function solve(
  plan: Plan,
  subject: Subject,
  tools: BuildTools,
  signal: AbortSignal,
): Promise<readonly SolvedStep[]> {
  const solving = new Solving(plan, subject, tools, signal)
  return await solving.run()
}

class Solving {
  readonly #plan: Plan
  readonly #request: BuildRequest
  readonly #source: SourceText
  readonly #tools: BuildTools
  readonly #outer: AbortSignal
  readonly #stop = new AbortController()
  readonly #signal: AbortSignal
  readonly #states: StepState[]
  readonly #started = new Map<number, Promise<SolvedStep>>()
  readonly #runs: StepRuns
  readonly #trees: StepScope['trees']
  readonly #remote: StepScope['remote']
  readonly #keyContext: (index: number) => KeyContext
  readonly #sys = openSys()
  #foresight = NOTHING_FORESEEN

  constructor(plan: Plan, { request, source, twins, remote }: Subject, tools: BuildTools, signal: AbortSignal) {
    this.#plan = plan
    this.#request = request
    this.#source = source
    this.#tools = tools
    this.#outer = signal
    this.#signal = AbortSignal.any([signal, this.#stop.signal])
    this.#states = plan.steps.map(() => ({ kind: 'waiting' }))
    this.#trees = createContextTrees(request)
    this.#remote = remote
    this.#keyContext = createKeyContexts(plan, request)
    this.#runs = new StepRuns({
      tools,
      twins: twins ?? new Map(),
      signal: this.#signal,
      onStarted: (index, missReason) => this.#begin(index, missReason),
      onLateFailure: (index, error) => this.#stop.abort(locateError(error, this.#stepAt(index), source)),
    })
  }

  async run(): Promise<readonly SolvedStep[]> {
    this.#foresight = await openForesight(
      this.#plan,
      {
        request: this.#request,
        tools: this.#tools,
        scopeOf: (index) => this.#scopeOf(index),
        contextOf: this.#keyContext,
      },
      this.#signal,
    )
    const { needed } = this.#foresight
    const results = await Promise.allSettled([...needed].map((index) => this.#solveStep(index)))
    await this.#runs.settle()
    if (this.#outer.aborted) throw cancelledError(this.#outer.reason)
    const failure = this.#states.find((state) => state.kind === 'failed')
    if (failure) throw failure.error
    // A layer that could not be made although its step was done.
    if (this.#stop.signal.aborted) throw this.#stop.signal.reason
    for (const result of results) if (result.status === 'rejected') throw result.reason
    for (const [index, { kind }] of this.#states.entries())
      if (kind === 'waiting') await this.#finish(index, { kind: 'cached' })
    return this.#states.map((state) => (state.kind === 'done' ? this.#runs.finished(state.solved) : NOT_SOLVED))
  }

  async #solveAll(indexes: readonly number[]): Promise<void> {
    await Promise.all(indexes.map((index) => this.#solveStep(index)))
    this.#signal.throwIfAborted()
  }

  #solveStep(index: number): Promise<SolvedStep> {
    const started = this.#started.get(index) ?? this.#settle(index, this.#stepAt(index))
    this.#started.set(index, started)
    return started
  }

  /** Reports how a step ended; the first failure stops the rest. */
  async #settle(index: number, step: PlanStep): Promise<SolvedStep> {
    try {
      return await this.#advance(index, step)
    } catch (error) {
      if (this.#signal.aborted) {
        if (this.#states[index]?.kind === 'running') await this.#finish(index, { kind: 'cancelled' })
        throw error
      }
      const located = locateError(error, step, this.#source)
      this.#states[index] = { kind: 'failed', error: located }
      this.#stop.abort(located)
      await this.#finish(index, isLost(located) ? { kind: 'cancelled' } : failedOutcome(located))
      throw located
    }
  }

  async #advance(index: number, step: PlanStep): Promise<SolvedStep> {
    const isForeseen = this.#foresight.has(index)
    await this.#solveAll(isForeseen ? inputsOf(step) : stepsBefore(step))
    this.#states[index] = { kind: 'probing-cache' }
    const { operation } = step
    if (operation.kind === 'base') return await this.#takeBase(index, operation)
    const scope = this.#scopeOf(index)
    const context = this.#keyContext(index)
    const inputs: InputKeys = {
      keyOf: (input) => this.#keyOf(input),
      baseOf: (input) => (input === null ? null : this.#solvedAt(input).base),
    }
    const early = await this.#foresight.probe(index, inputs, this.#signal)
    if (isForeseen && !early.step) await this.#solveAll(stepsBefore(step))
    const probe: Probe = early.step
      ? { kind: 'hit', step: early.step, keys: [] }
      : await probeCache(scope, step, { inputs, context }, this.#signal)
    if (probe.kind === 'miss' && mayNeedNetwork(this.#plan, index)) this.#tools.networks.warmUp()
    const result = await this.#runs.resultOf({ index, step, scope }, probe, early.step ? [] : early.keys)
    const chain = extendChain(this.#chainOf(operation.input), [{ layer: result.layer, source: null }])
    const below = operation.input === null ? null : this.#solvedAt(operation.input)
    const lineage = lineageOf(operation, below?.lineage ?? null, context)
    const found = probe.kind === 'hit' ? probe.keys : probe.keys.map(({ key }) => key)
    const keys = scope.changedInputs.size > 0 ? [] : [...early.keys.map(({ key }) => key), ...found]
    const solved = { keys, lineage, base: below?.base ?? null, chain, createdAtMs: result.createdAtMs }
    return await this.#done(index, solved, result.isCached)
  }

  /** A base image is taken as it is described; its files come when a step needs them. */
  async #takeBase(index: number, operation: BaseOperation): Promise<SolvedStep> {
    const layers = operation.image.layers.map((layer) => ({ layer, source: operation.image.source }))
    const local = await Promise.all(layers.map(({ layer }) => isAvailable(this.#tools, { layer, source: null })))
    const lineage = lineageOf(operation, null, this.#keyContext(index))
    const base = { name: familiarName(operation.image.reference), lineage }
    const solved = { keys: [], lineage, base, chain: extendChain(EMPTY_CHAIN, layers), createdAtMs: null }
    return await this.#done(index, solved, local.every(Boolean))
  }

  async #begin(index: number, missReason: string): Promise<void> {
    this.#states[index] = { kind: 'running', missReason }
    await this.#tools.report({ kind: 'step-started', step: index, missReason })
  }

  async #done(index: number, solved: SolvedStep, cached: boolean): Promise<SolvedStep> {
    this.#states[index] = { kind: 'done', cached, solved }
    await this.#finish(index, { kind: cached ? 'cached' : 'done' })
    return solved
  }

  async #finish(index: number, outcome: StepOutcome): Promise<void> {
    await this.#tools.report({ kind: 'step-finished', step: index, outcome })
  }

  #scopeOf(index: number): StepScope {
    return {
      step: index,
      stage: this.#stepAt(index).stage,
      request: this.#request,
      tools: this.#tools,
      sys: this.#sys,
      trees: this.#trees,
      remote: this.#remote,
      changedInputs: new Set(),
      chainOf: (fileSystem) => this.#chainOf(fileSystem),
      originOf: (from) =>
        from.kind === 'context'
          ? contextOrigin(this.#trees, from)
          : stepOrigin(this.#tools, this.#chainOf(from.fileSystem)),
      note: async (text) =>
        await this.#tools.report({ kind: 'output', step: index, stream: 'system', bytes: Buffer.from(text) }),
    }
  }

  #chainOf(fileSystem: FileSystem): Chain {
    return fileSystem === null ? EMPTY_CHAIN : this.#solvedAt(fileSystem).chain
  }

  /** Both what made it and what it became, so that nothing is put on top of a layer it was not made on. */
  #keyOf(fileSystem: FileSystem): string {
    if (fileSystem === null) return digestOf('scratch')
    const { lineage, chain } = this.#solvedAt(fileSystem)
    return digestOf([lineage, chain.id])
  }

  #solvedAt(index: number): SolvedStep {
    const state = this.#states[index]
    if (state?.kind === 'done') return state.solved
    throw new SlipwayError('internal', `Step ${index} is used before it is solved`)
  }

  #stepAt(index: number): PlanStep {
    const step = this.#plan.steps[index]
    if (!step) throw new SlipwayError('internal', `The plan has ${this.#plan.steps.length} steps, asked for ${index}`)
    return step
  }
}

/** Without what every reader adds, and without the digest that tells nothing to people. */
function familiarName(reference: string): string {
  return reference.replace(/^[^/]+\/library\/|^docker\.io\//, '').replace(/@sha256:.*$/, '')
}
