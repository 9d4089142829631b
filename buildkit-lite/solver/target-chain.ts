import type { Plan } from '../plan/plan.ts'
import { type Chain, EMPTY_CHAIN } from './chain.ts'
import type { SolvedStep } from './step-state.ts'

/** The layers of what a solved plan's target is. */
export function chainOf({ plan, solved }: { plan: Plan; solved: readonly SolvedStep[] }): Chain {
  const { fileSystem } = plan.target
  return fileSystem === null ? EMPTY_CHAIN : (solved[fileSystem]?.chain ?? EMPTY_CHAIN)
}
