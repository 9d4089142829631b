import type { Container, EndpointSlice, Pod, Service, ServicePort } from '../kinds.ts'
import { selectsAll } from '../selectors.ts'

interface Backend {
  ip: string
  port: number
  /** Null where somebody wrote the address by hand. */
  podUid: string | null
}

/** One port of one Service, and where its new connections may go. */
export interface Forward {
  /** `namespace/name:port`, for a person who reads the rules. */
  name: string
  protocol: 'tcp' | 'udp' | 'sctp'
  clusterIp: string | null
  port: number
  nodePort: number | null
  /** One client, one backend, as long as the backends stay the same. */
  isSticky: boolean
  backends: readonly Backend[]
}

export interface ServiceObjects {
  services: readonly Service[]
  pods: readonly Pod[]
  slices: readonly EndpointSlice[]
}

/**
 * What the rules shall say: pods that are ready and not about to go. Pods are looked at directly instead of through
 * EndpointSlices, so that no rule lags behind a controller; slices matter only where a Service selects no pods.
 */
export function planForwards(objects: ServiceObjects, leaving: ReadonlySet<string>): Forward[] {
  return objects.services.flatMap((service) => {
    const { spec, metadata } = service
    if (spec.type === 'ExternalName') return []
    const clusterIp = spec.clusterIP && spec.clusterIP !== 'None' ? spec.clusterIP : null
    const pods = spec.selector ? podsOf(service, objects.pods, leaving) : null
    return (spec.ports ?? []).flatMap((port): Forward[] => {
      const nodePort = port.nodePort || null
      if (!clusterIp && !nodePort) return []
      const protocol = (port.protocol ?? 'TCP').toLowerCase() as Forward['protocol']
      const backends = pods ? backendsIn(pods, port) : backendsOfSlices(service, port, objects.slices)
      const name = `${metadata.namespace}/${metadata.name}:${port.port}`
      const isSticky = spec.sessionAffinity === 'ClientIP'
      return [{ name, protocol, clusterIp, port: port.port, nodePort, isSticky, backends }]
    })
  })
}

function podsOf(service: Service, pods: readonly Pod[], leaving: ReadonlySet<string>): Pod[] {
  return pods.filter(
    (pod) =>
      pod.metadata.namespace === service.metadata.namespace &&
      selectsAll(service.spec.selector, pod.metadata.labels) &&
      takesConnections(pod, service.spec.publishNotReadyAddresses ?? false) &&
      !leaving.has(pod.metadata.uid ?? ''),
  )
}

function takesConnections(pod: Pod, evenIfNotReady: boolean): boolean {
  const { phase, podIP, conditions = [] } = pod.status ?? {}
  if (!podIP || phase === 'Succeeded' || phase === 'Failed') return false
  if (evenIfNotReady) return true
  if (pod.metadata.deletionTimestamp) return false
  return conditions.some((condition) => condition.type === 'Ready' && condition.status === 'True')
}

function backendsIn(pods: readonly Pod[], port: ServicePort): Backend[] {
  return pods.flatMap((pod) => {
    const target = targetPort(pod.spec.containers, port)
    const ip = pod.status?.podIP
    return target === null || !ip ? [] : [{ ip, port: target, podUid: pod.metadata.uid ?? null }]
  })
}

function targetPort(containers: readonly Container[], port: ServicePort): number | null {
  const { targetPort = port.port } = port
  if (typeof targetPort === 'number') return targetPort || port.port
  const named = containers
    .flatMap((container) => container.ports ?? [])
    .find((one) => one.name === targetPort && (one.protocol ?? 'TCP') === (port.protocol ?? 'TCP'))
  if (named) return named.containerPort
  return /^\d+$/.test(targetPort) ? Number(targetPort) : null
}

function backendsOfSlices(service: Service, port: ServicePort, slices: readonly EndpointSlice[]): Backend[] {
  const own = slices.filter(
    ({ metadata }) =>
      metadata.namespace === service.metadata.namespace &&
      metadata.labels?.['kubernetes.io/service-name'] === service.metadata.name,
  )
  return own.flatMap((slice) => {
    const target = slice.ports.find((one) => (one.name ?? '') === (port.name ?? ''))
    if (!target) return []
    return slice.endpoints
      .filter((endpoint) => endpoint.conditions.ready)
      .flatMap((endpoint) => endpoint.addresses.map((ip) => ({ ip, port: target.port, podUid: null })))
  })
}
