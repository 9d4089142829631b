import type { BuiltGraph } from '../built-result.ts'
import type { FileSystem } from '../plan/plan.ts'
import type { ChainLayer } from '../solver/chain.ts'
import type { ExportedStep } from './cache-config.ts'

/** A step to export, and where its layer can be had. */
export interface CollectedStep extends ExportedStep {
  chained: ChainLayer
  input: CollectedStep | null
}

/** The steps of a graph that made layers, each behind the one below it: all, or those of the image alone. */
export function collectSteps(graph: BuiltGraph, mode: 'min' | 'max'): CollectedStep[] {
  const { plan, solved } = graph
  const collected = new Map<number, CollectedStep>()
  const collect = (index: FileSystem): CollectedStep | null => {
    if (index === null) return null
    const known = collected.get(index)
    if (known) return known
    const [step, operation] = [solved[index], plan.steps[index]?.operation]
    const chained = step?.chain.layers.at(-1)
    if (!step || !chained || !operation || operation.kind === 'base' || step.createdAtMs === null) return null
    const input = collect(operation.input)
    const { keys, createdAtMs } = step
    const one = { keys, layer: chained.layer, createdAtMs, input, chained }
    collected.set(index, one)
    return one
  }
  if (mode === 'min') collect(plan.target.fileSystem)
  else for (const index of plan.steps.keys()) collect(index)
  return [...collected.values()]
}
