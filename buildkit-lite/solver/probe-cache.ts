import type { BuildRequest, CachedStep } from '../contract.ts'
import type { PlanStep } from '../plan/plan.ts'
import { isAvailable } from './layer-files.ts'
import { missReason } from './miss-reason.ts'
import { hasContentKey, type InputKeys, inputDigests } from './step-inputs.ts'
import { type KeyContext, type StepKey, stepKey } from './step-key.ts'
import type { StepScope } from './step-scope.ts'

/** What the cache says of a step. A miss knows every key that its result is to be kept under. */
export type Probe =
  | { kind: 'hit'; step: CachedStep; keys: readonly string[] }
  | { kind: 'miss'; keys: readonly StepKey[]; reason: string }

/**
 * Looks the step up by the keys of its inputs, and if that fails by the content of the files that it reads from other
 * stages. A stored result whose layer is gone is none.
 */
export async function probeCache(
  scope: StepScope,
  { operation, stage }: PlanStep,
  { inputs, context }: { inputs: InputKeys; context: KeyContext },
  signal: AbortSignal,
): Promise<Probe> {
  const { request } = scope
  const keys: StepKey[] = []
  for (const byContent of hasContentKey(operation) ? [false, true] : [false]) {
    const key = stepKey(operation, await inputDigests(scope, operation, { ...inputs, byContent }, signal), context)
    const step = mayReuse(request, stage) ? await findStep(scope, key.key) : null
    if (step) {
      await remember(scope, keys, step)
      return { kind: 'hit', step, keys: [...keys, key].map(({ key }) => key) }
    }
    keys.push(key)
  }
  const reason = mayReuse(request, stage) ? await reasonOf(scope, keys.at(-1)) : 'the cache is not used'
  return { kind: 'miss', keys, reason }
}

/** A stored result of the build's own scope, or of one that it trusts; one whose layer is gone is none. */
export async function findStep(
  { request, tools }: Pick<StepScope, 'request' | 'tools'>,
  key: string,
): Promise<CachedStep | null> {
  for (const scope of scopesOf(request)) {
    const step = await tools.cache.get(scope, key)
    if (step && (await isAvailable(tools, { layer: step.layer, source: null }))) return step
  }
  return null
}

function scopesOf({ cacheScope, readScopes = [] }: BuildRequest): readonly string[] {
  return [cacheScope, ...readScopes]
}

/** Whether the results of earlier builds count for the steps of this stage; new ones are kept in either case. */
export function mayReuse({ useCache, noCacheStages }: BuildRequest, stage: string): boolean {
  return useCache && !noCacheStages.includes(stage.toLowerCase())
}

/** Keeps a result under every key that should have found it. */
export async function remember(
  { request, tools, changedInputs }: StepScope,
  keys: readonly StepKey[],
  step: CachedStep,
): Promise<void> {
  const newest = keys.at(-1)
  if (!newest || changedInputs.size > 0) return
  const { key: _key, ...origin } = newest
  for (const { key } of keys) await tools.cache.put(request.cacheScope, key, step, origin)
}

async function reasonOf({ request, tools }: StepScope, key: StepKey | undefined): Promise<string> {
  if (!key) return 'not built before'
  for (const scope of scopesOf(request)) {
    const before = await tools.cache.nearest(scope, key.place)
    if (before) return missReason(key.components, before)
  }
  return missReason(key.components, null)
}
