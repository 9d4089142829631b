import type { BuildRequest, BuildTools, CachedStep } from '../contract.ts'
import type { FileSystem, Plan } from '../plan/plan.ts'
import { findStep, mayReuse } from './probe-cache.ts'
import { type InputKeys, inputDigests, inputsOf, isFromElsewhere, sourcesOf } from './step-inputs.ts'
import { digestOf, type KeyContext, type StepKey, stepKey } from './step-key.ts'
import type { StepScope } from './step-scope.ts'

/**
 * What can be told before anything runs: steps that read files of other stages, and whose results are known for what
 * all of it is written as. The stages that only they read need not be solved, nor be there.
 */
export interface Foresight {
  /** Steps to begin with; the others are solved if a step asks for them. */
  needed: ReadonlySet<number>
  /** Whether the step is likely to be found without its sources. */
  has(this: void, index: number): boolean
  /** Looks a step up whose input is solved. Its keys are what its result is to be kept under besides. */
  probe(
    this: void,
    index: number,
    inputs: InputKeys,
    signal: AbortSignal,
  ): Promise<{ keys: readonly StepKey[]; step: CachedStep | null }>
}

/** Before it was looked. */
export const NOTHING_FORESEEN: Foresight = {
  needed: new Set(),
  has: () => false,
  probe: async () => ({ keys: [], step: null }),
}

export interface ForesightOptions {
  request: BuildRequest
  tools: BuildTools
  scopeOf(this: void, index: number): StepScope
  contextOf(this: void, index: number): KeyContext
}

/** A step as it is written, with all that it is made of. */
interface Definition {
  key: StepKey
  /** Whether results of earlier builds count for every step in it. */
  isReusable: boolean
}

export async function openForesight(plan: Plan, options: ForesightOptions, signal: AbortSignal): Promise<Foresight> {
  const { request, tools } = options
  const define = createDefine(plan, options, signal)
  const lookUp = (key: string): Promise<CachedStep | null> => findStep({ request, tools }, key)
  const { needed, foreseen } = await findNeeded(plan, async (index) => {
    if (needsEveryStage(request)) return false
    const definition = await define(index)
    return definition?.isReusable === true && (await lookUp(definition.key.key)) !== null
  })
  return {
    needed,
    has: (index) => foreseen.has(index),
    probe: async (index, inputs, signal) => {
      const step = plan.steps[index]
      const sources = step ? sourcesOf(step) : []
      const definition = sources.length > 0 ? await define(index) : null
      if (!step || !definition) return { keys: [], step: null }
      const sourceKeys = await keysOf(sources, define)
      const given = { ...inputs, sourceKeyOf: (from: FileSystem) => sourceKeys.get(from) ?? '', byContent: false }
      const { operation } = step
      const digests = await inputDigests(options.scopeOf(index), operation, given, signal)
      const key = byDefinition(stepKey(operation, digests, options.contextOf(index)))
      return { keys: [definition.key, key], step: foreseen.has(index) ? await lookUp(key.key) : null }
    },
  }
}

/** Caches of everything, and what is said of a build, tell of the stages that made the image too. */
function needsEveryStage({ everyStage = false, image }: BuildRequest): boolean {
  return everyStage || image.sbom || image.provenance?.mode === 'max'
}

type Define = (index: number) => Promise<Definition | null>

/** Null for what hangs on something elsewhere, or cannot be told: then it is found out in the usual way. */
function createDefine(plan: Plan, { request, scopeOf, contextOf }: ForesightOptions, signal: AbortSignal): Define {
  const known = new Map<number, Promise<Definition | null>>()
  const make = async (index: number): Promise<Definition | null> => {
    const step = plan.steps[index]
    if (!step || isFromElsewhere(step.operation)) return null
    const before = [...inputsOf(step), ...sourcesOf(step)]
    const definitions = await Promise.all(before.map(define))
    const keys = new Map<FileSystem, string>()
    for (const [at, definition] of definitions.entries()) {
      if (!definition) return null
      keys.set(before[at] ?? null, definition.key.key)
    }
    const inputs = { keyOf: (from: FileSystem) => keys.get(from) ?? '', baseOf: () => null, byContent: false }
    const digests = await inputDigests(scopeOf(index), step.operation, inputs, signal)
    const isReusable = mayReuse(request, step.stage) && definitions.every((one) => one?.isReusable)
    return { key: byDefinition(stepKey(step.operation, digests, contextOf(index))), isReusable }
  }
  const define: Define = (index) => {
    // A source that is missing is told by the step itself.
    const made = known.get(index) ?? make(index).catch(() => null)
    known.set(index, made)
    return made
  }
  return define
}

async function keysOf(indexes: readonly number[], define: Define): Promise<Map<FileSystem, string>> {
  const keys = new Map<FileSystem, string>()
  for (const index of indexes) keys.set(index, (await define(index))?.key.key ?? '')
  return keys
}

/** Kept apart from the keys that are made of results, and from what is told of them. */
function byDefinition({ key, place, ...rest }: StepKey): StepKey {
  return { key: digestOf(['by definition', key]), place: digestOf(['by definition', place]), ...rest }
}

/** Steps that are needed whatever else is: those that nobody uses, and what needed steps are made on or read. */
async function findNeeded(
  { steps }: Plan,
  isForeseen: (index: number) => Promise<boolean>,
): Promise<{ needed: ReadonlySet<number>; foreseen: ReadonlySet<number> }> {
  const used = new Set(steps.flatMap((step) => [...inputsOf(step), ...sourcesOf(step)]))
  const needed = new Set([...steps.keys()].filter((index) => !used.has(index)))
  const foreseen = new Set<number>()
  for (const [index, step] of [...steps.entries()].toReversed()) {
    if (!needed.has(index)) continue
    for (const input of inputsOf(step)) needed.add(input)
    const sources = sourcesOf(step)
    if (sources.length === 0) continue
    if (await isForeseen(index)) foreseen.add(index)
    else for (const source of sources) needed.add(source)
  }
  return { needed, foreseen }
}
