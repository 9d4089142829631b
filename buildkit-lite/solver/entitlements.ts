import type { BuildRequest, Entitlement } from '../contract.ts'
import { DockerfileError, type SourceText } from '../dockerfile/errors.ts'
import type { Operation, Plan } from '../plan/plan.ts'

/**
 * Refuses a plan that asks for more than its builds may have, before any of its steps runs and whatever is cached. Only
 * the steps that the target needs are asked.
 */
export function checkEntitlements({ steps }: Plan, request: BuildRequest, source: SourceText): void {
  const granted = new Set(request.run.entitlements)
  for (const { operation, line, lastLine } of steps) {
    const missing = wantedBy(operation).find((entitlement) => !granted.has(entitlement))
    if (missing === undefined) continue
    const first = line ?? 1
    throw new DockerfileError(`${missing} is not allowed: ${REMEDY}`, source, { first, last: lastLine ?? first })
  }
}

const REMEDY = 'grant it with --allow on the command line, or with SLIPWAY_ALLOW where the builders are started'

function wantedBy(operation: Operation): Entitlement[] {
  if (operation.kind !== 'run') return []
  const { network, security } = operation
  return [
    ...(network === 'host' ? (['network.host'] as const) : []),
    ...(security === 'insecure' ? (['security.insecure'] as const) : []),
  ]
}
