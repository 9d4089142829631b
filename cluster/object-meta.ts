import { randomInt } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { KubeObject, Namespace, ObjectMeta, Pod } from './kinds.ts'
import type { DeleteOptions } from './objects.ts'

/** What the API server leaves out of generated names: vowels and what looks like them. */
const NAME_ALPHABET = 'bcdfghjklmnpqrstvwxz2456789'
/** A name is at most this long, with its five random characters. */
const GENERATED_PREFIX_LENGTH = 58

/** RFC 3339 with whole seconds, as Kubernetes writes times. */
export function timestamp(atMs = Date.now()): string {
  return new Date(atMs).toISOString().replace(/\.\d+Z$/, 'Z')
}

export function randomSuffix(length = 5): string {
  return Array.from({ length }, () => NAME_ALPHABET[randomInt(NAME_ALPHABET.length)]).join('')
}

export function newObjectMeta(given: ObjectMeta, uid: string): ObjectMeta {
  const name = given.name || `${given.generateName?.slice(0, GENERATED_PREFIX_LENGTH) ?? ''}${randomSuffix()}`
  return { ...given, name, uid: given.uid ?? uid, creationTimestamp: given.creationTimestamp ?? timestamp() }
}

/** Whether two states of an object differ in nothing but their version. */
export function sameObject(a: KubeObject, b: KubeObject): boolean {
  return isDeepStrictEqual(withoutVersion(a), withoutVersion(b))
}

function withoutVersion(object: KubeObject): object {
  const { resourceVersion: _version, ...metadata } = object.metadata
  // Through JSON, since absent and undefined fields are the same in what is stored.
  return JSON.parse(JSON.stringify({ ...object, metadata })) as object
}

/** An object after a change: generation counted, or null where its last finalizer is gone. */
export function afterUpdate(before: KubeObject, after: KubeObject): KubeObject | null {
  const { deletionTimestamp, finalizers = [], deletionGracePeriodSeconds = 0 } = after.metadata
  const waits = finalizers.length > 0 || namespaceFinalizers(after).length > 0
  const waited = (before.metadata.finalizers ?? []).length > 0 || namespaceFinalizers(before).length > 0
  if (deletionTimestamp && waited && !waits && deletionGracePeriodSeconds === 0) return null
  const generation = before.metadata.generation
  if (generation === undefined || isDeepStrictEqual(specOf(before), specOf(after))) return after
  return { ...after, metadata: { ...after.metadata, generation: generation + 1 } }
}

/** A namespace has finalizers in its spec too: it goes when it is empty. */
function namespaceFinalizers(object: KubeObject): string[] {
  return object.kind === 'Namespace' ? ((object as Namespace).spec?.finalizers ?? []) : []
}

function specOf(object: KubeObject): unknown {
  const spec = (object as { spec?: unknown }).spec
  return spec === undefined ? undefined : JSON.parse(JSON.stringify(spec))
}

/** An object after a request to delete it: marked, where something has to happen first; null where it goes at once. */
export function afterDelete(object: KubeObject, options: DeleteOptions): KubeObject | null {
  const graceSeconds = gracePeriodSeconds(object, options)
  const finalizers = [...(object.metadata.finalizers ?? [])]
  const wanted = { Foreground: 'foregroundDeletion', Orphan: 'orphan', Background: null }[
    options.propagation ?? 'Background'
  ]
  if (wanted && !finalizers.includes(wanted)) finalizers.push(wanted)
  if (graceSeconds === 0 && finalizers.length === 0 && namespaceFinalizers(object).length === 0) return null
  const { deletionTimestamp, generation, deletionGracePeriodSeconds: earlierGrace } = object.metadata
  const isShorter = earlierGrace !== undefined && graceSeconds < earlierGrace
  if (deletionTimestamp && !isShorter && finalizers.length === (object.metadata.finalizers ?? []).length) return object
  const metadata: ObjectMeta = {
    ...object.metadata,
    deletionTimestamp:
      deletionTimestamp && !isShorter ? deletionTimestamp : timestamp(Date.now() + graceSeconds * 1000),
    deletionGracePeriodSeconds: deletionTimestamp && !isShorter ? (earlierGrace ?? 0) : graceSeconds,
    ...(finalizers.length > 0 ? { finalizers } : {}),
    ...(generation !== undefined && !deletionTimestamp ? { generation: generation + 1 } : {}),
  }
  return { ...object, metadata }
}

/** Only a pod that a kubelet may be running has a grace period. */
function gracePeriodSeconds(object: KubeObject, options: DeleteOptions): number {
  if (object.kind !== 'Pod') return 0
  const { spec, status } = object as Pod
  const isOver = status?.phase === 'Succeeded' || status?.phase === 'Failed'
  if (!spec.nodeName || isOver) return 0
  return Math.max(0, options.gracePeriodSeconds ?? spec.terminationGracePeriodSeconds ?? 30)
}
