import type { ContainerStatus, PodSpec, PodStatus } from '../pod-kinds.ts'

type Phase = NonNullable<PodStatus['phase']>

/** Statuses of one pod's containers; a container without one is unknown. */
export interface ContainerStatuses {
  init: readonly ContainerStatus[]
  main: readonly ContainerStatus[]
}

/** Where a pod stands, from its containers alone. https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-phase */
export function podPhase(spec: PodSpec, statuses: ContainerStatuses): Phase {
  const restartPolicy = spec.restartPolicy ?? 'Always'
  const initial = (spec.initContainers ?? []).map((container) =>
    container.restartPolicy === 'Always'
      ? sidecarStage(find(statuses.init, container.name))
      : initStage(find(statuses.init, container.name)),
  )
  if (restartPolicy === 'Never' && initial.includes('failed')) return 'Failed'
  const stages = spec.containers.map((container) => mainStage(find(statuses.main, container.name)))
  if (initial.includes('pending') || stages.includes('waiting')) return 'Pending'
  if (stages.includes('unknown') || stages.length === 0) return 'Pending'
  if (stages.includes('running') || restartPolicy === 'Always') return 'Running'
  if (stages.every((stage) => stage === 'succeeded')) return 'Succeeded'
  return restartPolicy === 'Never' ? 'Failed' : 'Running'
}

function initStage(status: ContainerStatus | undefined): 'pending' | 'failed' | 'done' {
  const ended = status?.state?.terminated ?? (status?.state?.waiting ? status.lastState?.terminated : undefined)
  if (!ended) return 'pending'
  return ended.exitCode === 0 ? 'done' : 'failed'
}

/** A sidecar does not end: it is done when it has started. */
function sidecarStage(status: ContainerStatus | undefined): 'pending' | 'done' {
  return status?.started || status?.state?.terminated || status?.lastState?.terminated ? 'done' : 'pending'
}

function mainStage(status: ContainerStatus | undefined): 'unknown' | 'running' | 'waiting' | 'stopped' | 'succeeded' {
  if (status?.state?.running) return 'running'
  if (status?.state?.terminated) return status.state.terminated.exitCode === 0 ? 'succeeded' : 'stopped'
  if (status?.state?.waiting) return status.lastState?.terminated ? 'stopped' : 'waiting'
  return 'unknown'
}

function find(statuses: readonly ContainerStatus[], name: string): ContainerStatus | undefined {
  return statuses.find((status) => status.name === name)
}
