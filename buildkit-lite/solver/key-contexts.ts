import type { BuildRequest } from '../contract.ts'
import type { Plan } from '../plan/plan.ts'
import type { KeyContext } from './step-key.ts'
import { stepPlatform } from './step-platform.ts'

/** What the key of each step of a plan says of its place, by the step's index. */
export function createKeyContexts(plan: Plan, request: BuildRequest): (this: void, index: number) => KeyContext {
  const counts = new Map<string, number>()
  const positions = plan.steps.map(({ stage, operation }) => {
    // An instruction that is put in between does not move those of other kinds.
    const kind = `${operation.kind} of ${stage}`
    const position = counts.get(kind) ?? 0
    counts.set(kind, position + 1)
    return position
  })
  const { subject, run } = request
  const hostNames = request.extraHosts.map((host) => host.name)
  return (index) => ({
    subject,
    stage: plan.steps[index]?.stage ?? '',
    position: positions[index] ?? 0,
    platform: stepPlatform(plan, index, request.platform),
    hostNames,
    run,
  })
}
