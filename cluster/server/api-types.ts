import schema from './api-schema.json' with { type: 'json' }

/** What a field of a type holds: a scalar, a named type, or a list or map of either. */
export interface FieldType {
  shape: 'one' | 'list' | 'map'
  /** Name of a type, or `string`, `number`, `boolean`, `time`, `IntOrString`, `any`. */
  item: string
}

const TYPES: Record<string, Record<string, string> | undefined> = schema

/** The fields of a type, or null for scalars and free-form values. */
export function fieldsOf(type: string): Record<string, string> | null {
  const fields = TYPES[type]
  return fields && Object.keys(fields).length > 0 ? fields : null
}

export function fieldType(type: string, field: string): FieldType | null {
  const declared = TYPES[type]?.[field]
  return declared === undefined ? null : parseFieldType(declared)
}

export function parseFieldType(declared: string): FieldType {
  const item = declared.slice(1, -1)
  if (declared.startsWith('[')) return { shape: 'list', item }
  if (declared.startsWith('{')) return { shape: 'map', item }
  return { shape: 'one', item: declared }
}

/**
 * Lists that a strategic merge patch merges: by the named field of their items, or, where the key is '', as sets of
 * scalars. All other lists are replaced. These are the `patchMergeKey` tags of Kubernetes' API types.
 */
const MERGE_KEYS: Record<string, string> = {
  'Container.env': 'name',
  'Container.ports': 'containerPort',
  'Container.volumeDevices': 'devicePath',
  'Container.volumeMounts': 'mountPath',
  'DeploymentStatus.conditions': 'type',
  'NamespaceStatus.conditions': 'type',
  'NodeSpec.podCIDRs': '',
  'NodeStatus.addresses': 'type',
  'NodeStatus.conditions': 'type',
  'ObjectMeta.finalizers': '',
  'ObjectMeta.ownerReferences': 'uid',
  'PodSpec.containers': 'name',
  'PodSpec.ephemeralContainers': 'name',
  'PodSpec.hostAliases': 'ip',
  'PodSpec.imagePullSecrets': 'name',
  'PodSpec.initContainers': 'name',
  'PodSpec.resourceClaims': 'name',
  'PodSpec.schedulingGates': 'name',
  'PodSpec.topologySpreadConstraints': 'topologyKey',
  'PodSpec.volumes': 'name',
  'PodStatus.conditions': 'type',
  'PodStatus.podIPs': 'ip',
  'ReplicaSetStatus.conditions': 'type',
  'ServiceAccount.secrets': 'name',
  'ServiceSpec.ports': 'port',
  'ServiceStatus.conditions': 'type',
}

/** The merge key of a list, '' for a set of scalars, null for a list that is replaced as a whole. */
export function mergeKey(type: string, field: string): string | null {
  return MERGE_KEYS[`${type}.${field}`] ?? null
}

/** Where server-side apply tells items of a list apart by more than a strategic merge patch does. */
const APPLY_KEYS: Record<string, string[]> = {
  'Container.ports': ['containerPort', 'protocol'],
  'PodSpec.topologySpreadConstraints': ['topologyKey', 'whenUnsatisfiable'],
  'ServiceSpec.ports': ['port', 'protocol'],
}

/** The fields that name an item of a list; none for a set of scalars, null for a list that is one value. */
export function applyKeys(type: string, field: string): string[] | null {
  const place = `${type}.${field}`
  const key = MERGE_KEYS[place]
  if (key === undefined) return null
  return APPLY_KEYS[place] ?? (key === '' ? [] : [key])
}

/** What has fields, yet is owned as one value: `x-kubernetes-map-type: atomic`. */
const ATOMIC = new Set([
  'ConfigMapKeySelector',
  'LabelSelector',
  'LocalObjectReference',
  'NodeSelector',
  'NodeSelectorTerm',
  'ObjectFieldSelector',
  'ObjectReference',
  'ResourceFieldSelector',
  'SecretKeySelector',
  'SecretReference',
  'PodSpec.nodeSelector',
  'ServiceSpec.selector',
])

export function isAtomic(type: string, field: string): boolean {
  return ATOMIC.has(`${type}.${field}`) || ATOMIC.has(fieldType(type, field)?.item ?? '')
}
