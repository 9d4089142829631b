import { isDeepStrictEqual } from 'node:util'
import type { Deployment, Labels, PodTemplate, ReplicaSet } from '../kinds.ts'
import type { Bounds } from './rolling-update.ts'

export const REVISION = 'deployment.kubernetes.io/revision'
const REVISION_HISTORY = 'deployment.kubernetes.io/revision-history'
export const DESIRED_REPLICAS = 'deployment.kubernetes.io/desired-replicas'
export const MAX_REPLICAS = 'deployment.kubernetes.io/max-replicas'
export const TEMPLATE_HASH = 'pod-template-hash'
/** Characters of the list of a ReplicaSet's earlier revisions. */
const HISTORY_LENGTH = 2000

/** Annotations a ReplicaSet does not take over from its Deployment. */
const OWN_ANNOTATIONS = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  'deprecated.deployment.rollback.to',
  REVISION,
  REVISION_HISTORY,
  DESIRED_REPLICAS,
  MAX_REPLICAS,
])

export function revisionOf({ metadata }: Pick<ReplicaSet, 'metadata'>): number {
  return Number(metadata.annotations?.[REVISION] ?? 0) || 0
}

export function nextRevision(olds: readonly ReplicaSet[]): number {
  return Math.max(0, ...olds.map(revisionOf)) + 1
}

/** The annotations of the ReplicaSet that is the current revision of its Deployment. */
export function currentAnnotations(deployment: Deployment, set: ReplicaSet, revision: number): Labels {
  const copied = Object.entries(deployment.metadata.annotations ?? {}).filter(([key]) => !OWN_ANNOTATIONS.has(key))
  const annotations: Labels = { ...set.metadata.annotations, ...Object.fromEntries(copied) }
  const before = revisionOf(set)
  if (before >= revision) return annotations
  annotations[REVISION] = String(revision)
  if (before > 0) {
    const history = [annotations[REVISION_HISTORY], String(before)].filter(Boolean).join(',')
    annotations[REVISION_HISTORY] = history.slice(-HISTORY_LENGTH).replace(/^\d*,(?=.{1990})/, '')
  }
  return annotations
}

export function sizeAnnotations({ desired, surge }: Bounds): Labels {
  return { [DESIRED_REPLICAS]: String(desired), [MAX_REPLICAS]: String(desired + surge) }
}

export function annotatedNumber({ metadata }: ReplicaSet, name: string): number | null {
  const value = metadata.annotations?.[name]
  return value !== undefined && /^\d+$/.test(value) ? Number(value) : null
}

/** Whether two templates are the same but for the label that tells ReplicaSets apart. */
export function sameTemplate(a: PodTemplate, b: PodTemplate): boolean {
  return isDeepStrictEqual(withoutHash(a), withoutHash(b))
}

function withoutHash(template: PodTemplate): object {
  const { [TEMPLATE_HASH]: _hash, ...labels } = template.metadata?.labels ?? {}
  const { labels: _labels, creationTimestamp: _created, ...metadata } = template.metadata ?? {}
  return JSON.parse(JSON.stringify({ ...template, metadata: { ...metadata, labels } })) as object
}

const HASH_ALPHABET = 'bcdfghjklmnpqrstvwxz2456789'

/** Ten characters or fewer that stand for a template; a collision is answered with the next count. */
export function templateHash(template: PodTemplate, collisionCount = 0): string {
  let hash = 0x811c9dc5
  const text = JSON.stringify([sorted(withoutHash(template)), collisionCount])
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0
  return Array.from(String(hash), (digit) => HASH_ALPHABET[Number(digit)]).join('')
}

/** The same value with the keys of its objects in order: the hash must not hang on how a manifest was written. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(entries.map(([key, field]) => [key, sorted(field)]))
}
