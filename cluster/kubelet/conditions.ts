import type { Condition } from '../kinds.ts'
import type { Container, ContainerStatus, PodSpec, PodStatus } from '../pod-kinds.ts'
import type { ContainerStatuses } from './phase.ts'

type Verdict = Pick<Condition, 'status' | 'reason' | 'message'>

/** The four conditions the kubelet answers for, without times. */
export function podConditions(
  spec: PodSpec,
  statuses: ContainerStatuses,
  phase: PodStatus['phase'],
): (Verdict & { type: string })[] {
  const containersReady = areContainersReady(spec.containers, statuses.main, phase)
  return [
    { type: 'Initialized', ...isInitialized(spec.initContainers ?? [], statuses.init, phase) },
    { type: 'Ready', ...containersReady },
    { type: 'ContainersReady', ...containersReady },
    { type: 'PodScheduled', status: 'True' },
  ]
}

/** A condition keeps its time as long as it stays true or false. Conditions that others wrote stay as they are. */
export function stampConditions(
  next: readonly (Verdict & { type: string })[],
  previous: readonly Condition[],
  nowText: string,
): Condition[] {
  const stamped = next.map((condition) => {
    const before = previous.find((other) => other.type === condition.type && other.status === condition.status)
    return { ...condition, lastTransitionTime: before?.lastTransitionTime ?? nowText }
  })
  return [...stamped, ...previous.filter((other) => !next.some((condition) => condition.type === other.type))]
}

function isInitialized(
  containers: readonly Container[],
  statuses: readonly ContainerStatus[],
  phase: PodStatus['phase'],
): Verdict {
  const { unknown, unready } = sortOut(containers, statuses)
  if (phase === 'Succeeded' && unknown.length === 0) return { status: 'True', reason: 'PodCompleted' }
  const message = describe(unknown, unready, 'incomplete')
  return message ? { status: 'False', reason: 'ContainersNotInitialized', message } : { status: 'True' }
}

function areContainersReady(
  containers: readonly Container[],
  statuses: readonly ContainerStatus[],
  phase: PodStatus['phase'],
): Verdict {
  if (statuses.length === 0) return { status: 'False', reason: 'UnknownContainerStatuses' }
  const { unknown, unready } = sortOut(containers, statuses)
  if (phase === 'Succeeded' && unknown.length === 0) return { status: 'False', reason: 'PodCompleted' }
  const message = describe(unknown, unready, 'unready')
  return message ? { status: 'False', reason: 'ContainersNotReady', message } : { status: 'True' }
}

function sortOut(containers: readonly Container[], statuses: readonly ContainerStatus[]) {
  const unknown: string[] = []
  const unready: string[] = []
  for (const { name, restartPolicy } of containers) {
    const status = statuses.find((status) => status.name === name)
    if (!status) unknown.push(name)
    else if (!(restartPolicy === 'Always' ? status.started : status.ready)) unready.push(name)
  }
  return { unknown, unready }
}

function describe(unknown: readonly string[], unready: readonly string[], word: string): string {
  return [
    ...(unknown.length > 0 ? [`containers with unknown status: [${unknown.join(' ')}]`] : []),
    ...(unready.length > 0 ? [`containers with ${word} status: [${unready.join(' ')}]`] : []),
  ].join(', ')
}
