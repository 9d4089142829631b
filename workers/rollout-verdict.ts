import type { Rollout } from '#domain/rollout'
import type { Deployment, Pod } from './kubernetes.ts'

export type Verdict = {
  kind: 'progressing' | 'done' | 'failed'
  message: string
  replicas: Rollout['replicas']
}

/** Reasons a container waits for that no waiting mends. */
const HOPELESS = new Set([
  'CrashLoopBackOff',
  'ImagePullBackOff',
  'InvalidImageName',
  'ErrImageNeverPull',
  'CreateContainerConfigError',
  'CreateContainerError',
  'RunContainerError',
])
/** So many restarts are a crash loop, whatever the kubelet calls it at the moment. */
const MAX_RESTARTS = 2

/** How the rollout of an image stands: pure, from what the cluster says. */
export function judgeRollout(deployment: Deployment, pods: readonly Pod[], image: string): Verdict {
  const replicas = countReplicas(deployment)
  const verdict = (kind: Verdict['kind'], message: string): Verdict => ({ kind, message, replicas })
  if ((deployment.status?.observedGeneration ?? 0) < (deployment.metadata?.generation ?? 0))
    return verdict('progressing', 'waiting for the cluster to see the change')
  const broken = pods.map((pod) => whatIsWrong(pod, image)).find((fault) => fault !== null)
  if (broken) return verdict('failed', broken)
  const progressing = deployment.status?.conditions?.find((condition) => condition.type === 'Progressing')
  if (progressing?.status === 'False' && progressing.reason === 'ProgressDeadlineExceeded')
    return verdict('failed', `no progress in ${deployment.spec?.progressDeadlineSeconds ?? 600} s`)
  const { desired, updated, available } = replicas
  if (updated < desired) return verdict('progressing', `${updated} of ${desired} new pods started`)
  const total = deployment.status?.replicas ?? 0
  if (available < updated) return verdict('progressing', `${available} of ${updated} new pods are available`)
  if (total > updated) return verdict('progressing', `old pods that have to end: ${total - updated}`)
  return verdict('done', `${available} of ${desired} pods run the new image`)
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
function whatIsWrong(pod: Pod, image: string): string | null {
  const names = new Set(pod.spec?.containers.filter((container) => container.image === image).map(({ name }) => name))
  if (pod.metadata?.deletionTimestamp) return null
  for (const status of pod.status?.containerStatuses ?? []) {
    if (!names.has(status.name)) continue
    const { waiting, terminated } = status.state ?? {}
    const ended = terminated ?? status.lastState?.terminated
    const exit = ended ? `, exit code ${ended.exitCode}${ended.reason ? ` (${ended.reason})` : ''}` : ''
    const where = `container ${status.name} of pod ${pod.metadata?.name}`
    if (waiting?.reason && HOPELESS.has(waiting.reason)) {
      const detail = waiting.message ? `: ${waiting.message}` : ''
      return `${where}: ${waiting.reason}${detail}${exit}`
    }
    if (status.restartCount >= MAX_RESTARTS) return `${where} restarted ${status.restartCount} times${exit}`
  }
  return null
}
