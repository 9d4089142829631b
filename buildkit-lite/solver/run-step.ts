import type { BuildRequest, CachedStep, StepLease } from '../contract.ts'
import { executeStep, type LayerOperation } from './execute-step.ts'
import { findStep, mayReuse, remember } from './probe-cache.ts'
import type { Semaphore } from './semaphore.ts'
import type { Follow } from './shared-work.ts'
import type { StepKey } from './step-key.ts'
import type { StepScope } from './step-scope.ts'

/** What every build hears of a step that it waits for, whichever of them runs it. */
export type StepNews =
  | { kind: 'started' }
  | { kind: 'output'; stream: 'stdout' | 'stderr' | 'system'; bytes: Buffer }
  /** Steps on top can start; the layer is still being made. */
  | { kind: 'files'; step: CachedStep }

export interface StepRun {
  scope: StepScope
  operation: LayerOperation
  /** Every key that the result is to be found under; the last one says most. */
  keys: readonly StepKey[]
  /** Bounds what runs at once; taken only by what really runs. */
  slots: Semaphore
  /** Bounds the layers that are made at once. */
  layerSlots: Semaphore
}

export interface StepEnd {
  result: CachedStep
  /** Whether somebody else had done it meanwhile. */
  isFound: boolean
}

/**
 * Runs a step that the cache does not know: once for all builds of a cache's scope that want it at the same time, in
 * this process and, where `tools.stepLeases` are given, among all workers.
 */
export async function runStep(run: StepRun, follow: Follow<StepNews>, signal: AbortSignal): Promise<StepEnd> {
  const { scope, keys } = run
  const { request, tools } = scope
  // Without the cache a step has to run for this very build.
  if (!mayReuse(request, scope.stage)) return await execute(run, follow, null, signal)
  const key = keys.at(-1)?.key ?? ''
  let isOurs = false
  const work = async (tell: Follow<StepNews>, signal: AbortSignal): Promise<StepEnd> => {
    isOurs = true
    await using lease = (await tools.stepLeases?.take(request.cacheScope, key, signal)) ?? null
    // Whoever was before us may have ended just now.
    const found = await findAny(scope, keys)
    return found ? { result: found, isFound: true } : await execute(run, tell, lease, signal)
  }
  const end = await tools.sharedWork.shareTold(nameOf(request, key), work, follow, signal)
  // Another build may have come to the same step by another way.
  if (!isOurs || end.isFound) await remember(scope, keys, end.result)
  return end
}

function nameOf({ cacheScope }: BuildRequest, key: string): string {
  return `step ${cacheScope} ${key}`
}

async function execute(
  { scope, operation, keys, slots, layerSlots }: StepRun,
  tell: Follow<StepNews>,
  lease: StepLease | null,
  signal: AbortSignal,
): Promise<StepEnd> {
  using slot = await slots.acquire(signal)
  await tell({ kind: 'started' })
  const startedAtMs = performance.now()
  let told = Promise.resolve()
  const onFiles = (step: CachedStep): void => {
    // What is left to do is bounded by itself.
    slot[Symbol.dispose]()
    told = tell({ kind: 'files', step })
  }
  const made = await executeStep(toldScope(scope, tell), operation, { layerSlots, onFiles }, signal)
  await told
  const result = { ...made, tookMs: Math.round(performance.now() - startedAtMs) }
  // Who was taken for dead keeps what it made to itself: by now another's result counts.
  if (lease === null || (await lease.confirm())) await remember(scope, keys, result)
  return { result, isFound: false }
}

async function findAny(scope: StepScope, keys: readonly StepKey[]): Promise<CachedStep | null> {
  for (const { key } of keys) {
    const found = await findStep(scope, key)
    if (found) return found
  }
  return null
}

/** The same step, whose output goes to everybody who waits for it. */
function toldScope(scope: StepScope, tell: Follow<StepNews>): StepScope {
  const { report } = scope.tools
  return {
    ...scope,
    tools: {
      ...scope.tools,
      report: async (event) => {
        if (event.kind !== 'output') return await report(event)
        await tell({ kind: 'output', stream: event.stream, bytes: event.bytes })
      },
    },
    note: (text) => tell({ kind: 'output', stream: 'system', bytes: Buffer.from(text) }),
  }
}
