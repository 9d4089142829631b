import type { ClusterEvent, KubeObject } from '../kinds.ts'
import { matches, type Requirement } from '../selectors.ts'
import { badRequest } from './api-error.ts'
import type { Target } from './api-request.ts'
import { type FieldRequirement, parseFieldSelector, parseLabelSelector } from './parse-selector.ts'

/** Which objects of a kind a list or watch is about. */
export type Filter = (object: KubeObject) => boolean

export function readFilter({ resource, namespace, name }: Target, query: URLSearchParams): Filter {
  const labels = parseLabelSelector(query.get('labelSelector') ?? '')
  const fields = parseFieldSelector(query.get('fieldSelector') ?? '')
  const known = new Set(['metadata.name', 'metadata.namespace', ...(FIELDS[resource.kind] ?? [])])
  const unknown = fields.find(({ field }) => !known.has(field))
  if (unknown) {
    const list = [...known].map((field) => JSON.stringify(field)).join(', ')
    throw badRequest(`"${unknown.field}" is not a known field selector: only ${list}`)
  }
  return (object) => isSelected(object, { namespace, name, labels, fields })
}

function isSelected(
  object: KubeObject,
  wanted: { namespace: string; name: string; labels: Requirement[]; fields: FieldRequirement[] },
): boolean {
  const { metadata } = object
  if (wanted.namespace !== '' && metadata.namespace !== wanted.namespace) return false
  if (wanted.name !== '' && metadata.name !== wanted.name) return false
  if (!matches(wanted.labels, metadata.labels)) return false
  return wanted.fields.every(({ field, equal, value }) => (fieldValue(object, field) === value) === equal)
}

const INVOLVED = ['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'] as const

/** Fields that can be selected besides name and namespace. */
const FIELDS: Record<string, string[]> = {
  Pod: [
    'spec.nodeName',
    'spec.restartPolicy',
    'spec.schedulerName',
    'spec.serviceAccountName',
    'status.phase',
    'status.podIP',
  ],
  Event: [...INVOLVED.map((field) => `involvedObject.${field}`), 'reason', 'type', 'source', 'reportingComponent'],
  Namespace: ['status.phase'],
  Node: ['spec.unschedulable'],
  Secret: ['type'],
  ReplicaSet: ['status.replicas'],
}

function fieldValue(object: KubeObject, field: string): string {
  if (field === 'source') return (object as ClusterEvent).source?.component ?? ''
  let at: unknown = object
  for (const key of field.split('.')) at = (at as Record<string, unknown> | undefined)?.[key]
  if (at === undefined || at === null) return field === 'spec.unschedulable' ? 'false' : ''
  return typeof at === 'string' ? at : JSON.stringify(at)
}
