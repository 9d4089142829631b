import type { KindName, Kinds, KubeObject } from '../kinds.ts'
import { selectorText } from '../selectors.ts'
import { age } from './age.ts'
import type { Json, JsonObject } from './json.ts'
import { podCells } from './pod-table.ts'
import { columnsOf } from './table-columns.ts'

type Cells<K extends KindName> = (object: Kinds[K]) => Json[]

const CELLS: { [K in KindName]: Cells<K> } = {
  Pod: podCells,
  Deployment: ({ metadata, spec, status }) => [
    metadata.name,
    `${status?.readyReplicas ?? 0}/${spec.replicas ?? 0}`,
    status?.updatedReplicas ?? 0,
    status?.availableReplicas ?? 0,
    age(metadata.creationTimestamp),
    ...workloadWide(spec),
  ],
  ReplicaSet: ({ metadata, spec, status }) => [
    metadata.name,
    spec.replicas ?? 0,
    status?.replicas ?? 0,
    status?.readyReplicas ?? 0,
    age(metadata.creationTimestamp),
    ...workloadWide(spec),
  ],
  Service: ({ metadata, spec }) => [
    metadata.name,
    spec.type ?? 'ClusterIP',
    spec.clusterIP || '<none>',
    externalAddress(spec),
    (spec.ports ?? []).map(servicePort).join(',') || '<none>',
    age(metadata.creationTimestamp),
    labelText(spec.selector) || '<none>',
  ],
  Endpoints: ({ metadata, subsets = [] }) => [metadata.name, endpointText(subsets), age(metadata.creationTimestamp)],
  EndpointSlice: ({ metadata, addressType, ports, endpoints }) => [
    metadata.name,
    addressType,
    shortList((ports ?? []).map(({ port }) => String(port))) || '<unset>',
    shortList((endpoints ?? []).flatMap(({ addresses }) => addresses)) || '<unset>',
    age(metadata.creationTimestamp),
  ],
  Node: nodeCells,
  Event: ({ metadata, involvedObject, source, ...event }) => [
    age(event.lastTimestamp),
    event.type,
    event.reason,
    `${(involvedObject.kind ?? '').toLowerCase()}/${involvedObject.name ?? ''}`,
    involvedObject.fieldPath ?? '',
    [source?.component, source?.host].filter(Boolean).join(', '),
    (event.message ?? '').trim(),
    age(event.firstTimestamp),
    event.count ?? 1,
    metadata.name,
  ],
  ConfigMap: ({ metadata, data = {}, binaryData = {} }) => [
    metadata.name,
    Object.keys(data).length + Object.keys(binaryData).length,
    age(metadata.creationTimestamp),
  ],
  Secret: ({ metadata, type = 'Opaque', data = {} }) => [
    metadata.name,
    type,
    Object.keys(data).length,
    age(metadata.creationTimestamp),
  ],
  Namespace: ({ metadata, status }) => [metadata.name, status?.phase ?? 'Active', age(metadata.creationTimestamp)],
  Lease: ({ metadata, spec }) => [metadata.name, spec?.holderIdentity ?? '', age(metadata.creationTimestamp)],
  ServiceAccount: ({ metadata }) => [metadata.name, 0, age(metadata.creationTimestamp)],
}

interface TableOptions {
  version: string
  /** `None`, `Metadata` or `Object`: what comes with each row. */
  include: string | null
  /** For tables that may have no rows. */
  kind?: KindName
}

/** Objects as the table that kubectl prints. */
export function toTable(objects: KubeObject[], { version, include, kind }: TableOptions): JsonObject {
  const tableKind = (kind ?? objects[0]?.kind) as KindName
  const cells = CELLS[tableKind] as (object: KubeObject) => Json[]
  const rows = objects.map((object) => ({ cells: cells(object), ...rowObject(object, include) }))
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: { resourceVersion: version },
    columnDefinitions: columnsOf(tableKind),
    rows,
  }
}

function rowObject(object: KubeObject, include: string | null): JsonObject {
  if (include === 'None') return {}
  if (include === 'Object') return { object: object as unknown as JsonObject }
  const metadata = object.metadata as unknown as JsonObject
  return { object: { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata } }
}

function workloadWide({ template, selector }: Kinds['Deployment']['spec'] | Kinds['ReplicaSet']['spec']): Json[] {
  const containers = template?.spec?.containers ?? []
  const names = containers.map(({ name }) => name).join(',')
  return [names, containers.map(({ image }) => image).join(','), selectorText(selector) || '<none>']
}

function servicePort({
  port,
  nodePort,
  protocol = 'TCP',
}: NonNullable<Kinds['Service']['spec']['ports']>[number]): string {
  return nodePort ? `${port}:${nodePort}/${protocol}` : `${port}/${protocol}`
}

function externalAddress({ type, externalName }: Kinds['Service']['spec']): string {
  if (type === 'ExternalName') return externalName ?? '<none>'
  return type === 'LoadBalancer' ? '<pending>' : '<none>'
}

function endpointText(subsets: NonNullable<Kinds['Endpoints']['subsets']>): string {
  const places = subsets.flatMap(({ addresses = [], ports = [] }) =>
    ports.length === 0
      ? addresses.map(({ ip }) => ip)
      : ports.flatMap(({ port }) => addresses.map(({ ip }) => `${ip}:${port}`)),
  )
  return shortList(places) || '<none>'
}

/** The first three of a list, and how many more there are. */
function shortList(all: string[]): string {
  const shown = all.slice(0, 3).join(',')
  return all.length > 3 ? `${shown} + ${all.length - 3} more...` : shown
}

function labelText(labels: Record<string, string> = {}): string {
  const pairs = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1))
  return pairs.map(([key, value]) => `${key}=${value}`).join(',')
}

function nodeCells({ metadata, spec, status }: Kinds['Node']): Json[] {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready')?.status
  const states = [ready === 'True' ? 'Ready' : ready === 'False' ? 'NotReady' : 'Unknown']
  if (spec?.unschedulable) states.push('SchedulingDisabled')
  const roles = Object.keys(metadata.labels ?? {}).flatMap(
    (key) => /^node-role\.kubernetes\.io\/(.+)/.exec(key)?.[1] ?? [],
  )
  const address = (wanted: string) => status?.addresses?.find(({ type }) => type === wanted)?.address ?? '<none>'
  const info = status?.nodeInfo ?? {}
  return [
    metadata.name,
    states.join(','),
    roles.join(',') || '<none>',
    age(metadata.creationTimestamp),
    info['kubeletVersion'] ?? '',
    address('InternalIP'),
    address('ExternalIP'),
    info['osImage'] ?? '<unknown>',
    info['kernelVersion'] ?? '<unknown>',
    info['containerRuntimeVersion'] ?? '<unknown>',
  ]
}
