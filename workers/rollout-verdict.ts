import type { Rollout } from '#domain/rollout'
import type { Deployment, Pod } from './kubernetes.ts'

export interface Verdict {
  kind: 'progressing' | 'done' | 'failed'
  message: string
  replicas: Rollout['replicas']
  /** Whose log tells more, where the rollout failed. */
  culprit?: Culprit
}

/** A container that broke, or never became ready. */
export interface Culprit {
  pod: string
  container: string
  /** Whether the run that broke is over, and another has begun. */
  isPrevious: boolean
}

/** Reasons a container waits for that no waiting mends, or not soon. */
const HOPELESS = new Set([
  'CrashLoopBackOff',
  'ErrImagePull',
  'ImagePullBackOff',
  'InvalidImageName',
  'ErrImageNeverPull',
  'CreateContainerConfigError',
  'CreateContainerError',
  'RunContainerError',
  'PostStartHookError',
])
/** So many restarts are a crash loop, whatever the kubelet calls it at the moment. */
const MAX_RESTARTS = 2

/**
 * How the rollout of an image stands: pure, from what the cluster says. A deadline that had passed when the rollout
 * `began` was another's.
 */
export function judgeRollout(
  deployment: Deployment,
  pods: readonly Pod[],
  image: string,
  began: Deployment | null = null,
): Verdict {
  const replicas = countReplicas(deployment)
  const verdict = (kind: Verdict['kind'], message: string): Verdict => ({ kind, message, replicas })
  if ((deployment.status?.observedGeneration ?? 0) < (deployment.metadata?.generation ?? 0))
    return verdict('progressing', 'waiting for the cluster to see the change')
  const ours = pods.filter((pod) => runs(pod, image) && !pod.metadata?.deletionTimestamp)
  const broken = ours.flatMap((pod) => statusesOf(pod, image).map((status) => whatIsWrong(pod, status)))
  const fault = broken.find((one) => one !== null)
  if (fault) return { ...verdict('failed', fault.message), culprit: fault.culprit }
  const missedAt = missedDeadline(deployment)
  if (missedAt !== null && missedAt !== (began && missedDeadline(began))) {
    const refusal = conditionOf(deployment, 'ReplicaFailure')
    const message = `no progress in ${deployment.spec?.progressDeadlineSeconds ?? 600} s`
    const why = refusal?.status === 'True' && refusal.message ? `: ${refusal.message}` : ''
    return { ...verdict('failed', message + why), ...findUnready(ours, image) }
  }
  const { desired, updated, available } = replicas
  if (updated < desired) return verdict('progressing', `${updated} of ${desired} new pods started`)
  const total = deployment.status?.replicas ?? 0
  if (available < updated) return verdict('progressing', `${available} of ${updated} new pods are available`)
  if (total > updated) return verdict('progressing', `old pods that have to end: ${total - updated}`)
  return verdict('done', `${available} of ${desired} pods run the new image`)
}

/** A container that runs without being ready: what it printed may say why. */
export function findUnready(pods: readonly Pod[], image: string): { culprit?: Culprit } {
  for (const pod of pods)
    for (const status of statusesOf(pod, image)) if (!status.ready) return { culprit: culpritOf(pod, status, false) }
  return {}
}

function conditionOf({ status }: Deployment, type: string) {
  return status?.conditions?.find((condition) => condition.type === type)
}

/** When the controller gave up, in Unix milliseconds; null where it has not. */
function missedDeadline(deployment: Deployment): number | null {
  const progressing = conditionOf(deployment, 'Progressing')
  if (progressing?.status !== 'False' || progressing.reason !== 'ProgressDeadlineExceeded') return null
  return progressing.lastTransitionTime?.getTime() ?? 0
}

function countReplicas({ spec, status }: Deployment): Rollout['replicas'] {
  return {
    desired: spec?.replicas ?? 1,
    updated: status?.updatedReplicas ?? 0,
    ready: status?.readyReplicas ?? 0,
    available: status?.availableReplicas ?? 0,
  }
}

/** Only pods of the new image count: what is wrong with the old ones is what the new image may mend. */
function runs(pod: Pod, image: string): boolean {
  return pod.spec?.containers.some((container) => container.image === image) ?? false
}

type ContainerStatus = NonNullable<NonNullable<Pod['status']>['containerStatuses']>[number]

/** Init containers too: none of the others starts before they are done. */
function statusesOf(pod: Pod, image: string): ContainerStatus[] {
  const names = new Set(pod.spec?.containers.filter((container) => container.image === image).map(({ name }) => name))
  const { initContainerStatuses = [], containerStatuses = [] } = pod.status ?? {}
  return [...initContainerStatuses, ...containerStatuses.filter(({ name }) => names.has(name))]
}

function whatIsWrong(pod: Pod, status: ContainerStatus): { message: string; culprit: Culprit } | null {
  const { waiting, terminated, running } = status.state ?? {}
  const ended = terminated ?? status.lastState?.terminated
  const exit = ended ? `, exit code ${ended.exitCode}${ended.reason ? ` (${ended.reason})` : ''}` : ''
  const where = `container ${status.name} of pod ${pod.metadata?.name}`
  const culprit = culpritOf(pod, status, running !== undefined)
  if (waiting?.reason && HOPELESS.has(waiting.reason)) {
    const detail = waiting.message ? `: ${waiting.message}` : ''
    return { message: `${where}: ${waiting.reason}${detail}${exit}`, culprit }
  }
  if (status.restartCount < MAX_RESTARTS) return null
  return { message: `${where} restarted ${status.restartCount} times${exit}`, culprit }
}

function culpritOf(pod: Pod, { name: container, restartCount }: ContainerStatus, isPrevious: boolean): Culprit {
  return { pod: pod.metadata?.name ?? '', container, isPrevious: isPrevious && restartCount > 0 }
}
