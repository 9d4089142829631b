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
    const missing = wantedBy(operation).find(({ entitlement }) => !granted.has(entitlement))
    if (missing === undefined) continue
    const first = line ?? 1
    throw new DockerfileError(`${missing.what} is not allowed: ${remedyOf(missing)}`, source, {
      first,
      last: lastLine ?? first,
    })
  }
}

interface Want {
  entitlement: Entitlement
  what: string
}

function remedyOf({ entitlement }: Want): string {
  const onCommandLine = `grant it with --allow ${entitlement} on the command line`
  if (entitlement === 'device') return onCommandLine
  return `${onCommandLine}, or with SLIPWAY_ALLOW=${entitlement} where the builders are started`
}

function wantedBy(operation: Operation): Want[] {
  if (operation.kind !== 'run') return []
  const { network, security, devices = [] } = operation
  const wants: Want[] = devices.map(({ name }) => ({ entitlement: 'device', what: `device ${name}` }))
  if (security === 'insecure') wants.unshift({ entitlement: 'security.insecure', what: 'security.insecure' })
  if (network === 'host') wants.unshift({ entitlement: 'network.host', what: 'network.host' })
  return wants
}
