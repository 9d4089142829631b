import type { Pod } from '../kinds.ts'
import type { PodStatus } from '../pod-kinds.ts'
import { podConditions, stampConditions } from './conditions.ts'
import type { ContainerRecord } from './container-record.ts'
import { podPhase } from './phase.ts'

/** What the kubelet knows of a pod beyond its containers. */
export interface PodFacts {
  records: readonly ContainerRecord[]
  hostIp: string
  podIp: string | null
  startTime: string
  /** The pod was ended by us, for this reason. */
  failure: { reason: string; message: string } | null
}

/** A pod's status as Kubernetes writes it; conditions keep their times while they hold. */
export function composeStatus(pod: Pod, facts: PodFacts, nowText: string): PodStatus {
  const before = pod.status ?? {}
  const init = facts.records.filter((record) => record.role !== 'main').map((record) => record.status)
  const main = facts.records.filter((record) => record.role === 'main').map((record) => record.status)
  const phase = facts.failure ? 'Failed' : podPhase(pod.spec, { init, main })
  const conditions = podConditions(pod.spec, { init, main }, phase)
  return {
    ...(before.qosClass ? { qosClass: before.qosClass } : {}),
    phase,
    conditions: stampConditions(conditions, before.conditions ?? [], nowText),
    hostIP: facts.hostIp,
    ...(facts.podIp ? { podIP: facts.podIp, podIPs: [{ ip: facts.podIp }] } : {}),
    startTime: facts.startTime,
    ...facts.failure,
    ...(init.length > 0 ? { initContainerStatuses: init } : {}),
    containerStatuses: main,
  }
}
