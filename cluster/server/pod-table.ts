import type { Pod } from '../kinds.ts'
import type { ContainerStatus } from '../pod-kinds.ts'
import { age } from './age.ts'
import type { Json } from './json.ts'

/** A pod's row: `kubectl get pods` prints it as it is. */
export function podCells(pod: Pod): Json[] {
  const { metadata, spec, status } = pod
  const statuses = status?.containerStatuses ?? []
  const ready = statuses.filter((each) => each.ready && each.state?.running).length
  return [
    metadata.name,
    `${ready}/${spec.containers.length}`,
    podStatus(pod),
    restarts(pod),
    age(metadata.creationTimestamp),
    status?.podIP || '<none>',
    spec.nodeName || '<none>',
    '<none>',
    readinessGates(pod),
  ]
}

/** The one word that says most about a pod. */
function podStatus(pod: Pod): string {
  const { metadata, status } = pod
  const phase = status?.reason || status?.phase || 'Pending'
  const initial = initStatus(pod)
  const word = initial ?? containerStatus(pod, phase)
  if (!metadata.deletionTimestamp) return word
  return status?.reason === 'NodeLost' ? 'Unknown' : 'Terminating'
}

/** What an unfinished init container says; null when all are done. */
function initStatus({ spec, status }: Pod): string | null {
  const total = spec.initContainers?.length ?? 0
  for (const [index, { state, started, name }] of (status?.initContainerStatuses ?? []).entries()) {
    const isSidecar = spec.initContainers?.find((each) => each.name === name)?.restartPolicy === 'Always'
    if (state?.terminated?.exitCode === 0 || (isSidecar && started)) continue
    if (state?.terminated) return `Init:${endReason(state.terminated)}`
    const waiting = state?.waiting?.reason
    return waiting && waiting !== 'PodInitializing' ? `Init:${waiting}` : `Init:${index}/${total}`
  }
  return null
}

function containerStatus({ status }: Pod, phase: string): string {
  const statuses = status?.containerStatuses ?? []
  let word = phase
  // The first container has the last word, as upstream goes through them from the end.
  for (const { state } of statuses.toReversed()) {
    if (state?.waiting?.reason) word = state.waiting.reason
    else if (state?.terminated) word = endReason(state.terminated)
  }
  const hasRunning = statuses.some((each) => each.ready && each.state?.running)
  if (word === 'Completed' && hasRunning) {
    const isReady = status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True')
    return isReady ? 'Running' : 'NotReady'
  }
  return word
}

function endReason({
  reason,
  signal,
  exitCode,
}: NonNullable<NonNullable<ContainerStatus['state']>['terminated']>): string {
  return reason || (signal ? `Signal:${signal}` : `ExitCode:${exitCode}`)
}

/** `3 (10s ago)`, or `0`. */
function restarts({ spec, status }: Pod): string {
  const initNames = new Set((spec.initContainers ?? []).map(({ name }) => name))
  const isDone = !(status?.initContainerStatuses ?? []).some(({ state }) => state?.terminated?.exitCode !== 0)
  const counted = isDone ? (status?.containerStatuses ?? []) : (status?.initContainerStatuses ?? [])
  const relevant = counted.filter(({ name }) => !isDone || !initNames.has(name))
  const count = relevant.reduce((sum, { restartCount }) => sum + restartCount, 0)
  const times = relevant.map(({ lastState }) => lastState?.terminated?.finishedAt).filter((at) => at !== undefined)
  const latest = times.sort().at(-1)
  return count > 0 && latest ? `${count} (${age(latest)} ago)` : String(count)
}

function readinessGates({ spec, status }: Pod): string {
  const gates = spec.readinessGates ?? []
  if (gates.length === 0) return '<none>'
  const passed = gates.filter(({ conditionType }) =>
    status?.conditions?.some(({ type, status }) => type === conditionType && status === 'True'),
  )
  return `${passed.length}/${gates.length}`
}
