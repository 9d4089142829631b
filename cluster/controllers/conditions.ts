import type { Condition } from '../kinds.ts'
import { timestamp } from '../object-meta.ts'

export function findCondition(conditions: readonly Condition[] | undefined, type: string): Condition | null {
  return conditions?.find((condition) => condition.type === type) ?? null
}

/** Conditions with one of them set: times only move when the status or the reason does. */
export function withCondition(
  conditions: readonly Condition[],
  next: Pick<Condition, 'type' | 'status' | 'reason' | 'message'>,
  { refresh = false }: { refresh?: boolean } = {},
): Condition[] {
  const current = findCondition(conditions, next.type)
  if (!refresh && current?.status === next.status && current.reason === next.reason) return [...conditions]
  const now = timestamp()
  const since = current?.status === next.status ? current.lastTransitionTime : undefined
  const added: Condition = { ...next, lastUpdateTime: now, lastTransitionTime: since ?? now }
  return [...withoutCondition(conditions, next.type), added]
}

export function withoutCondition(conditions: readonly Condition[], type: string): Condition[] {
  return conditions.filter((condition) => condition.type !== type)
}
