import type { KindName } from '../kinds.ts'

/** A kind as clients address it. */
export interface Resource {
  kind: KindName
  /** '' for the core group. */
  group: string
  plural: string
  singular: string
  shortNames: string[]
  namespaced: boolean
  categories: string[]
  subresources: ('status' | 'scale' | 'log' | 'eviction' | 'exec' | 'attach' | 'portforward')[]
  /** Whether metadata.generation counts changes of the spec. */
  counted: boolean
}

const resource = (kind: KindName, plural: string, extra: Partial<Resource> = {}): Resource => ({
  kind,
  group: '',
  plural,
  singular: kind.toLowerCase(),
  shortNames: [],
  namespaced: true,
  categories: [],
  subresources: [],
  counted: false,
  ...extra,
})

/** Every group has the one version v1. */
export const VERSION = 'v1'

export const RESOURCES: readonly Resource[] = [
  resource('ConfigMap', 'configmaps', { shortNames: ['cm'] }),
  resource('Endpoints', 'endpoints', { shortNames: ['ep'] }),
  resource('Event', 'events', { shortNames: ['ev'] }),
  resource('Namespace', 'namespaces', { shortNames: ['ns'], namespaced: false, subresources: ['status'] }),
  resource('Node', 'nodes', { shortNames: ['no'], namespaced: false, subresources: ['status'] }),
  resource('Pod', 'pods', {
    shortNames: ['po'],
    categories: ['all'],
    subresources: ['status', 'log', 'eviction', 'exec', 'attach', 'portforward'],
  }),
  resource('Secret', 'secrets'),
  resource('ServiceAccount', 'serviceaccounts', { shortNames: ['sa'] }),
  resource('Service', 'services', { shortNames: ['svc'], categories: ['all'], subresources: ['status'] }),
  resource('Deployment', 'deployments', {
    group: 'apps',
    shortNames: ['deploy'],
    categories: ['all'],
    subresources: ['status', 'scale'],
    counted: true,
  }),
  resource('ReplicaSet', 'replicasets', {
    group: 'apps',
    shortNames: ['rs'],
    categories: ['all'],
    subresources: ['status', 'scale'],
    counted: true,
  }),
  resource('Lease', 'leases', { group: 'coordination.k8s.io' }),
  resource('EndpointSlice', 'endpointslices', { group: 'discovery.k8s.io', counted: true }),
]

export function groupVersion({ group }: Pick<Resource, 'group'>): string {
  return group === '' ? VERSION : `${group}/${VERSION}`
}

export function resourceOf(kind: KindName): Resource {
  const found = RESOURCES.find((resource) => resource.kind === kind)
  if (!found) throw new Error(`kind ${kind} has no resource`)
  return found
}

/** `deployments.apps`, as messages name it. */
export function qualifiedPlural({ plural, group }: Resource): string {
  return group === '' ? plural : `${plural}.${group}`
}

/** `Deployment.apps`, as messages about one object's fields name it. */
export function qualifiedKind({ kind, group }: Resource): string {
  return group === '' ? kind : `${kind}.${group}`
}
