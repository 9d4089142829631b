import { isDeepStrictEqual } from 'node:util'
import type { EndpointSlice, EndpointSubset, Endpoints, Pod, Service, ServicePort, SliceEndpoint } from '../kinds.ts'
import { type ObjectStore, referenceTo } from '../objects.ts'
import { selectsAll } from '../selectors.ts'
import { type ControllerParts, controllerReference, keyOf, splitKey } from './controller.ts'
import { isReady } from './pod-order.ts'
import { WorkQueue } from './work-queue.ts'

const SERVICE_NAME = 'kubernetes.io/service-name'
const MANAGED_BY = 'endpointslice.kubernetes.io/managed-by'

/** Keeps an Endpoints and an EndpointSlice object for every Service with a selector. */
export function startEndpointsController({ objects, log }: ControllerParts): AsyncDisposable {
  const queue = new WorkQueue(async (key) => syncService(objects, key), log)
  const addFor = ({ metadata }: Pod) => {
    for (const service of objects.list('Service', metadata.namespace)) {
      if (selectsAll(service.spec.selector, metadata.labels)) queue.add(keyOf(service))
    }
  }
  const watches = [
    objects.watch('Service', ({ object }) => queue.add(keyOf(object)), { replay: true }),
    objects.watch('Pod', ({ object, previous }) => {
      addFor(object)
      if (previous && !isDeepStrictEqual(previous.metadata.labels, object.metadata.labels)) addFor(previous)
    }),
  ]
  return {
    [Symbol.asyncDispose]: async () => {
      for (const watch of watches) watch[Symbol.dispose]()
      await queue[Symbol.asyncDispose]()
    },
  }
}

/** Where a pod stands with the Services that select it. */
export type Membership = 'ready' | 'notReady' | 'none'

export function membershipOf(pod: Pod, publishNotReady: boolean): Membership {
  const isOver = pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed'
  if (!pod.status?.podIP || isOver) return 'none'
  if (pod.metadata.deletionTimestamp && !publishNotReady) return 'none'
  return publishNotReady || isReady(pod) ? 'ready' : 'notReady'
}

async function syncService(objects: ObjectStore, key: string): Promise<void> {
  const { namespace, name } = splitKey(key)
  const service = objects.get('Service', namespace, name)
  // What a deleted Service owned is collected with it.
  if (!service?.spec.selector || service.metadata.deletionTimestamp || service.spec.type === 'ExternalName') return
  const { selector } = service.spec
  const pods = objects.list('Pod', namespace).filter(({ metadata }) => selectsAll(selector, metadata.labels))
  // The slice first: the proxy reads it.
  await put(objects, sliceOf(service, pods))
  await put(objects, endpointsOf(service, pods))
}

async function put(objects: ObjectStore, wanted: Endpoints | EndpointSlice): Promise<void> {
  const { namespace = '', name } = wanted.metadata
  const current = objects.get(wanted.kind, namespace, name)
  if (!current) {
    await (wanted.kind === 'Endpoints' ? objects.create(wanted) : objects.create(wanted))
    return
  }
  await objects.update({ kind: wanted.kind, namespace, name }, (draft) => {
    const { labels, ownerReferences } = wanted.metadata
    const metadata = {
      ...draft.metadata,
      ...(labels ? { labels } : {}),
      ...(ownerReferences ? { ownerReferences } : {}),
    }
    return { ...wanted, metadata }
  })
}

function metaOf(service: Service) {
  const { name, namespace = '', labels = {} } = service.metadata
  return { name, namespace, labels: { ...labels }, ownerReferences: [controllerReference(service)] }
}

function sliceOf(service: Service, pods: Pod[]): EndpointSlice & { kind: 'EndpointSlice' } {
  const { labels, ...meta } = metaOf(service)
  const own = { [SERVICE_NAME]: service.metadata.name, [MANAGED_BY]: 'endpointslice-controller.k8s.io' }
  const publish = service.spec.publishNotReadyAddresses ?? false
  const shown = pods.filter(({ status }) => status?.podIP && status.phase !== 'Succeeded' && status.phase !== 'Failed')
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { ...meta, generation: 1, labels: { ...labels, ...own } },
    addressType: 'IPv4',
    endpoints: shown.map((pod) => sliceEndpoint(pod, publish)),
    ports: (service.spec.ports ?? []).flatMap((port) => {
      const number = targetPort(port, shown)
      return number === null ? [] : [{ name: port.name ?? '', port: number, protocol: port.protocol ?? 'TCP' }]
    }),
  }
}

function sliceEndpoint(pod: Pod, publishNotReady: boolean): SliceEndpoint {
  const terminating = pod.metadata.deletionTimestamp !== undefined
  const serving = publishNotReady || isReady(pod)
  const { kind, namespace = '', name = '', uid = '' } = referenceTo(pod)
  return {
    addresses: [pod.status?.podIP ?? ''],
    conditions: { ready: publishNotReady || (serving && !terminating), serving, terminating },
    ...(pod.spec.nodeName ? { nodeName: pod.spec.nodeName } : {}),
    targetRef: { kind: kind ?? 'Pod', namespace, name, uid },
  }
}

/** A named port is looked up in the pods; the slice has one number for all. */
function targetPort({ targetPort, port, protocol = 'TCP' }: ServicePort, pods: Pod[]): number | null {
  if (typeof targetPort === 'number') return targetPort
  if (targetPort === undefined) return port
  for (const pod of pods) {
    const found = namedPort(pod, targetPort, protocol)
    if (found !== null) return found
  }
  return null
}

function namedPort({ spec }: Pod, name: string, protocol: string): number | null {
  const ports = spec.containers.flatMap((container) => container.ports ?? [])
  return ports.find((port) => port.name === name && (port.protocol ?? 'TCP') === protocol)?.containerPort ?? null
}

function endpointsOf(service: Service, pods: Pod[]): Endpoints & { kind: 'Endpoints' } {
  const publish = service.spec.publishNotReadyAddresses ?? false
  const addresses = (wanted: Membership) =>
    pods
      .filter((pod) => membershipOf(pod, publish) === wanted)
      .map(toAddress)
      .sort((a, b) => (a.ip < b.ip ? -1 : 1))
  const ready = addresses('ready')
  const notReady = addresses('notReady')
  const ports = (service.spec.ports ?? []).flatMap((port) => {
    const number = targetPort(port, pods)
    if (number === null) return []
    return [{ ...(port.name ? { name: port.name } : {}), port: number, protocol: port.protocol ?? 'TCP' }]
  })
  const subset: EndpointSubset = {
    ...(ready.length > 0 ? { addresses: ready } : {}),
    ...(notReady.length > 0 ? { notReadyAddresses: notReady } : {}),
    ports,
  }
  const isEmpty = ready.length + notReady.length === 0
  return { apiVersion: 'v1', kind: 'Endpoints', metadata: metaOf(service), ...(isEmpty ? {} : { subsets: [subset] }) }
}

function toAddress(pod: Pod) {
  const { kind = 'Pod', namespace = '', name = '', uid = '' } = referenceTo(pod)
  const nodeName = pod.spec.nodeName
  return { ip: pod.status?.podIP ?? '', ...(nodeName ? { nodeName } : {}), targetRef: { kind, namespace, name, uid } }
}
