import type { KindName, Kinds, ObjectReference } from './kinds.ts'

type ChangeType = 'ADDED' | 'MODIFIED' | 'DELETED'

/** One change of one object. `object` of a DELETED change is its last state, with the version of the deletion. */
export interface ObjectChange<K extends KindName = KindName> {
  type: ChangeType
  kind: K
  object: Kinds[K]
  /** What the object was before; null for ADDED. */
  previous: Kinds[K] | null
  version: number
}

export interface DeleteOptions {
  /** Fails with kind `conflict` if the object is another one by now. */
  uid?: string
  /**
   * Pods only. Absent: the pod's own grace period. Above 0 a pod that sits on a node is only marked
   * (`deletionTimestamp`); the kubelet stops it and then deletes it with 0, which removes the object.
   */
  gracePeriodSeconds?: number
  /** `Background` if absent: the object goes at once and what it owns is collected afterwards. */
  propagation?: 'Background' | 'Foreground' | 'Orphan'
}

export interface EventNote {
  type: 'Normal' | 'Warning'
  /** CamelCase word, such as `Pulled`. */
  reason: string
  message: string
  /** Who says it, such as `kubelet`. */
  component: string
  fieldPath?: string
}

/**
 * The cluster's objects as controllers and the kubelet use them: an in-process copy of what Redis keeps. Reads are
 * immediate; returned objects are shared and must not be changed. A write resolves once Redis has it and every listener
 * was told. Missing objects fail with kind `not-found`, clashes with `already-exists` and `conflict`.
 *
 * Writes here do not default or validate; that is the API server's work. uid, creationTimestamp, generation,
 * resourceVersion and finalizers are kept here. A write that changes nothing stores and tells nothing.
 */
export interface ObjectStore extends AsyncDisposable {
  /** Version of the latest change. */
  readonly version: number
  /** `namespace` is '' for Nodes and Namespaces. */
  get<K extends KindName>(kind: K, namespace: string, name: string): Kinds[K] | null
  /** All of a kind, in all namespaces if none is named; ordered by namespace and name. */
  list<K extends KindName>(kind: K, namespace?: string): Kinds[K][]
  /**
   * Tells of every change of a kind, in order, from now on. With `replay` the objects there are now come first as
   * ADDED, before this call returns. Listeners must not throw; a listener that takes time starts its own work.
   */
  watch<K extends KindName>(
    kind: K,
    listener: (change: ObjectChange<K>) => void,
    options?: { replay?: boolean },
  ): Disposable
  /** `metadata.generateName` is honoured where no name is given. */
  create<K extends KindName>(object: Kinds[K] & { kind: K }): Promise<Kinds[K]>
  /**
   * Changes anything but the status: `change` gets a copy it may edit and return. Runs alone, so there is never a
   * conflict, except with `expectedVersion`. Where the last finalizer of a deleted object goes, the object goes.
   */
  update<K extends KindName>(ref: ObjectName<K>, change: (draft: Kinds[K]) => Kinds[K]): Promise<Kinds[K]>
  /** Changes only the status. */
  updateStatus<K extends KindName>(ref: ObjectName<K>, change: (draft: Kinds[K]) => Kinds[K]): Promise<Kinds[K]>
  delete<K extends KindName>(ref: ObjectName<K>, options?: DeleteOptions): Promise<Kinds[K]>
  /** Writes an Event about an object; the same words about the same object again only count up. Never fails. */
  recordEvent(about: ObjectReference, note: EventNote): void
}

export interface ObjectName<K extends KindName = KindName> {
  kind: K
  namespace: string
  name: string
  /** Fails with kind `conflict` unless the object has this resourceVersion. */
  expectedVersion?: string
  /** Fails with kind `conflict` unless the object has this uid. */
  uid?: string
}

/** What an Event or an address says of the object it is about. */
export function referenceTo(object: Kinds[KindName]): ObjectReference {
  const { name, namespace = '', uid = '', resourceVersion = '' } = object.metadata
  return { kind: object.kind, namespace, name, uid, apiVersion: object.apiVersion, resourceVersion }
}

export function nameOf<K extends KindName>(object: Kinds[K] & { kind: K }): ObjectName<K> {
  return { kind: object.kind, namespace: object.metadata.namespace ?? '', name: object.metadata.name }
}
