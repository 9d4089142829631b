import type { Plan } from './plan.ts'
import type { StageNode } from './stage-graph.ts'
import type { StageState } from './stage-state.ts'

const SCAN_STAGE = 'BUILDKIT_SBOM_SCAN_STAGE'
const SCAN_CONTEXT = 'BUILDKIT_SBOM_SCAN_CONTEXT'

/** What arguments of stages ask to be searched for packages besides the target. */
export function readScans(states: ReadonlyMap<StageNode, StageState>, target: StageNode): Pick<Plan, 'scans'> {
  const stages = [...states].filter(([stage, state]) => stage !== target && isOn(stage, state, SCAN_STAGE))
  const context = [...states].some(([stage, state]) => isOn(stage, state, SCAN_CONTEXT))
  if (stages.length === 0 && !context) return {}
  return { scans: { stages: stages.map(([{ label }, { fileSystem }]) => ({ name: label, fileSystem })), context } }
}

/** A boolean, or the names of the stages that are meant. */
function isOn({ label }: StageNode, { args }: StageState, name: string): boolean {
  const value = args.findLast((arg) => arg.name === name)?.value ?? ''
  if (/^(?:1|t|true)$/i.test(value)) return true
  const names = value.split(',').map((one) => one.trim().toLowerCase())
  return names.includes(label.toLowerCase())
}
