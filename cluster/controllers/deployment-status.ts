import type { Condition, Deployment, DeploymentStatus, ReplicaSet } from '../kinds.ts'
import { findCondition, withCondition, withoutCondition } from './conditions.ts'
import { boundsOf } from './rolling-update.ts'

/** Kubernetes' way to say that there is no deadline. */
const NO_DEADLINE = 2 ** 31 - 1

export function hasDeadline({ spec }: Pick<Deployment, 'spec'>): boolean {
  return spec.progressDeadlineSeconds !== undefined && spec.progressDeadlineSeconds !== NO_DEADLINE
}

/** The counts of a Deployment and whether enough of it is available; progress is judged by `rolloutStatus`. */
export function countStatus(
  deployment: Deployment,
  newSet: ReplicaSet | null,
  all: readonly ReplicaSet[],
): DeploymentStatus {
  const { spec, status: before = {}, metadata } = deployment
  const total = (field: 'replicas' | 'readyReplicas' | 'availableReplicas') =>
    all.reduce((sum, { status }) => sum + (status?.[field] ?? 0), 0)
  const wanted = all.reduce((sum, { spec }) => sum + (spec.replicas ?? 0), 0)
  const available = total('availableReplicas')
  const { desired, unavailable: mayMiss } = boundsOf(spec)
  const isEnough = available >= desired - mayMiss
  const condition = isEnough
    ? ({ status: 'True', reason: 'MinimumReplicasAvailable', message: 'Deployment has minimum availability.' } as const)
    : ({
        status: 'False',
        reason: 'MinimumReplicasUnavailable',
        message: 'Deployment does not have minimum availability.',
      } as const)
  return {
    ...(metadata.generation === undefined ? {} : { observedGeneration: metadata.generation }),
    ...counted({ replicas: total('replicas'), updatedReplicas: newSet?.status?.replicas ?? 0 }),
    ...counted({ readyReplicas: total('readyReplicas'), availableReplicas: available }),
    ...counted({ unavailableReplicas: Math.max(0, wanted - available) }),
    ...(before.collisionCount === undefined ? {} : { collisionCount: before.collisionCount }),
    conditions: withCondition(before.conditions ?? [], { type: 'Available', ...condition }),
  }
}

/** Counts of zero are left out, as Kubernetes does. */
function counted<T extends Record<string, number>>(counts: T): Partial<T> {
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== 0)) as Partial<T>
}

/** The whole status of a Deployment in a rollout, with whether it progresses. */
export function rolloutStatus(
  deployment: Deployment,
  newSet: ReplicaSet | null,
  all: readonly ReplicaSet[],
  nowMs: number,
): DeploymentStatus {
  const next = countStatus(deployment, newSet, all)
  let conditions = next.conditions ?? []
  if (!hasDeadline(deployment)) conditions = withoutCondition(conditions, 'Progressing')
  const current = findCondition(deployment.status?.conditions, 'Progressing')
  const wasComplete = next.replicas === next.updatedReplicas && current?.reason === 'NewReplicaSetAvailable'
  if (hasDeadline(deployment) && !wasComplete)
    conditions = judgeProgress(deployment, newSet, { ...next, conditions }, nowMs)
  const failure = replicaFailure(newSet, all)
  conditions = failure ? withCondition(conditions, failure) : withoutCondition(conditions, 'ReplicaFailure')
  return { ...next, conditions }
}

function judgeProgress(
  deployment: Deployment,
  newSet: ReplicaSet | null,
  next: DeploymentStatus,
  nowMs: number,
): Condition[] {
  const conditions = next.conditions ?? []
  const subject = newSet ? `ReplicaSet "${newSet.metadata.name}"` : `Deployment "${deployment.metadata.name}"`
  const progressing = { type: 'Progressing', status: 'True' } as const
  if (isComplete(deployment, next)) {
    const message = `${subject} has successfully progressed.`
    return withCondition(conditions, { ...progressing, reason: 'NewReplicaSetAvailable', message })
  }
  if (hasProgressed(deployment.status ?? {}, next)) {
    const message = `${subject} is progressing.`
    return withCondition(conditions, { ...progressing, reason: 'ReplicaSetUpdated', message }, { refresh: true })
  }
  if (isTimedOut(deployment, next, nowMs)) {
    const message = `${subject} has timed out progressing.`
    return withCondition(conditions, { ...progressing, status: 'False', reason: 'ProgressDeadlineExceeded', message })
  }
  return conditions
}

export function isComplete({ spec, metadata }: Deployment, status: DeploymentStatus): boolean {
  const desired = spec.replicas ?? 1
  const { replicas = 0, updatedReplicas = 0, availableReplicas = 0, observedGeneration = 0 } = status
  const isAll = replicas === desired && updatedReplicas === desired && availableReplicas === desired
  return isAll && observedGeneration >= (metadata.generation ?? 0)
}

function hasProgressed(before: DeploymentStatus, next: DeploymentStatus): boolean {
  const more = (field: 'updatedReplicas' | 'readyReplicas' | 'availableReplicas') =>
    (next[field] ?? 0) > (before[field] ?? 0)
  const old = ({ replicas = 0, updatedReplicas = 0 }: DeploymentStatus) => replicas - updatedReplicas
  return more('updatedReplicas') || old(next) < old(before) || more('readyReplicas') || more('availableReplicas')
}

function isTimedOut(deployment: Deployment, { conditions }: DeploymentStatus, nowMs: number): boolean {
  const condition = findCondition(conditions, 'Progressing')
  if (!condition || condition.reason === 'NewReplicaSetAvailable') return false
  if (condition.reason === 'ProgressDeadlineExceeded') return true
  return deadlineMs(deployment, condition) < nowMs
}

function deadlineMs({ spec }: Deployment, { lastUpdateTime = '' }: Condition): number {
  return Date.parse(lastUpdateTime) + (spec.progressDeadlineSeconds ?? NO_DEADLINE) * 1000
}

/** How long until the deadline has to be looked at again; null when there is nothing to wait for. */
export function nextDeadlineCheckMs(deployment: Deployment, status: DeploymentStatus, nowMs: number): number | null {
  const condition = findCondition(status.conditions, 'Progressing')
  if (!hasDeadline(deployment) || !condition || isComplete(deployment, status)) return null
  const settled = ['NewReplicaSetAvailable', 'ProgressDeadlineExceeded', 'DeploymentPaused']
  if (settled.includes(condition.reason ?? '')) return null
  return Math.max(0, deadlineMs(deployment, condition) - nowMs) + 1000
}

function replicaFailure(newSet: ReplicaSet | null, all: readonly ReplicaSet[]): Condition | null {
  for (const set of newSet ? [newSet, ...all] : all) {
    const failure = findCondition(set.status?.conditions, 'ReplicaFailure')
    if (failure) return failure
  }
  return null
}

/** What pausing and resuming says of progress; null where nothing has to be said. */
export function pausedCondition({ spec, status }: Deployment): Omit<Condition, 'lastUpdateTime'> | null {
  const condition = findCondition(status?.conditions, 'Progressing')
  if (!hasDeadline({ spec }) || condition?.reason === 'ProgressDeadlineExceeded') return null
  const saysPaused = condition?.reason === 'DeploymentPaused'
  const unknown = { type: 'Progressing', status: 'Unknown' } as const
  if (spec.paused && !saysPaused) return { ...unknown, reason: 'DeploymentPaused', message: 'Deployment is paused' }
  if (!spec.paused && saysPaused) return { ...unknown, reason: 'DeploymentResumed', message: 'Deployment is resumed' }
  return null
}
