import { randomUUID } from 'node:crypto'
import { SlipwayError } from '#domain/errors'
import type { ClusterObjects, ObjectRecordChange } from '#store/cluster-objects'
import { EventRecorder } from './event-recorder.ts'
import type { KindName, Kinds } from './kinds.ts'
import { afterDelete, afterUpdate, newObjectMeta, sameObject } from './object-meta.ts'
import type { DeleteOptions, ObjectChange, ObjectName, ObjectStore } from './objects.ts'

type AnyObject = Kinds[KindName]
type Listener = (change: ObjectChange) => void

/** How many changes a watcher may be behind before it has to list anew. */
const HISTORY_LENGTH = 4000

/** An ObjectStore with what the API server needs beyond it. */
export interface OpenObjects extends ObjectStore {
  /** The changes after a version, or null where the history no longer reaches back that far. */
  changesSince(version: number): ObjectChange[] | null
  /** Tells of every change of every kind. */
  watchAll(listener: Listener): Disposable
}

/** Loads every object from Redis; from then on this process is the only writer. */
export async function openObjects(store: ClusterObjects): Promise<OpenObjects> {
  const { version, records } = await store.list()
  const objects = new LiveObjects(store, version)
  for (const record of records) objects.load(record.key, withVersion(JSON.parse(record.json), record.version))
  objects.loadHistory(await store.history(0))
  return objects
}

class LiveObjects implements OpenObjects {
  readonly #store: ClusterObjects
  readonly #kinds = new Map<string, Map<string, AnyObject>>()
  readonly #listeners = new Map<string, Set<Listener>>()
  readonly #events = new EventRecorder(this)
  #history: ObjectChange[] = []
  #version: number
  #lastWrite: Promise<unknown> = Promise.resolve()

  constructor(store: ClusterObjects, version: number) {
    this.#store = store
    this.#version = version
  }

  get version(): number {
    return this.#version
  }

  load(key: string, object: AnyObject): void {
    this.#kind(object.kind).set(key, object)
  }

  /** Takes over the changes of earlier runs, so that their watchers can go on. */
  loadHistory(changes: ObjectRecordChange[]): void {
    const latest = new Map<string, AnyObject>()
    this.#history = changes.map((change) => {
      const object = withVersion(JSON.parse(change.json) as AnyObject, change.version)
      const previous = latest.get(change.key) ?? null
      latest.set(change.key, object)
      const type = change.kind === 'created' ? 'ADDED' : change.kind === 'updated' ? 'MODIFIED' : 'DELETED'
      return { type, kind: object.kind, object, previous, version: change.version }
    })
  }

  changesSince(version: number): ObjectChange[] | null {
    const oldest = this.#history[0]
    if (version > this.#version) return []
    if (oldest ? version < oldest.version - 1 : version < this.#version) return null
    return this.#history.filter((change) => change.version > version)
  }

  get<K extends KindName>(kind: K, namespace: string, name: string): Kinds[K] | null {
    return (this.#kind(kind).get(`${kind}/${namespace}/${name}`) as Kinds[K] | undefined) ?? null
  }

  list<K extends KindName>(kind: K, namespace?: string): Kinds[K][] {
    const all = [...this.#kind(kind)].filter(([, { metadata }]) => !namespace || metadata.namespace === namespace)
    return all.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object as Kinds[K])
  }

  watch<K extends KindName>(
    kind: K,
    listener: (change: ObjectChange<K>) => void,
    { replay = false }: { replay?: boolean } = {},
  ): Disposable {
    const added = (object: Kinds[K]) =>
      listener({ type: 'ADDED', kind, object, previous: null, version: this.#version })
    if (replay) for (const object of this.list(kind)) added(object)
    return this.#listen(kind, listener as unknown as Listener)
  }

  watchAll(listener: Listener): Disposable {
    return this.#listen('*', listener)
  }

  async create<K extends KindName>(given: Kinds[K] & { kind: K }): Promise<Kinds[K]> {
    return await this.#alone(async () => {
      const object = { ...given, metadata: newObjectMeta(given.metadata, randomUUID()) } as AnyObject
      const { namespace = '', name } = object.metadata
      if (this.get(given.kind, namespace, name)) {
        throw new SlipwayError('already-exists', `${given.kind} ${namespace}/${name} exists already`)
      }
      const version = await this.#store.create(keyOf(object), toText(object))
      return this.#tell({ type: 'ADDED', kind: given.kind, object, previous: null, version })
    })
  }

  async update<K extends KindName>(ref: ObjectName<K>, change: (draft: Kinds[K]) => Kinds[K]): Promise<Kinds[K]> {
    return await this.#change(ref, (current) => {
      const changed = change(structuredClone(current))
      return 'status' in current || 'status' in changed
        ? { ...changed, status: (current as { status?: object }).status }
        : changed
    })
  }

  async updateStatus<K extends KindName>(ref: ObjectName<K>, change: (draft: Kinds[K]) => Kinds[K]): Promise<Kinds[K]> {
    return await this.#change(ref, (current) => {
      const { status } = change(structuredClone(current)) as { status?: object }
      return { ...current, status }
    })
  }

  async delete<K extends KindName>(ref: ObjectName<K>, options: DeleteOptions = {}): Promise<Kinds[K]> {
    const named = options.uid === undefined ? ref : { ...ref, uid: options.uid }
    return await this.#change(named, (current) => afterDelete(current, options) as Kinds[K] | null)
  }

  recordEvent(about: Parameters<ObjectStore['recordEvent']>[0], note: Parameters<ObjectStore['recordEvent']>[1]): void {
    this.#events.record(about, note)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lastWrite.catch(() => {})
    await this.#store[Symbol.asyncDispose]()
  }

  /** Changes one object; null removes it. */
  async #change<K extends KindName>(
    ref: ObjectName<K>,
    change: (current: Kinds[K]) => object | null,
  ): Promise<Kinds[K]> {
    return await this.#alone(async () => {
      const current = this.get(ref.kind, ref.namespace, ref.name)
      if (!current) throw new SlipwayError('not-found', `${ref.kind} ${ref.namespace}/${ref.name} does not exist`)
      expectSame(ref, current)
      const changed = change(current)
      const object = changed && (afterUpdate(current, changed as AnyObject) as AnyObject | null)
      const seen = Number(current.metadata.resourceVersion)
      if (!object) {
        const version = await this.#store.delete(keyOf(current), toText(current), seen)
        return this.#tell({ type: 'DELETED', kind: ref.kind, object: current, previous: current, version })
      }
      if (sameObject(current, object)) return current
      const version = await this.#store.update(keyOf(current), toText(object), seen)
      return this.#tell({ type: 'MODIFIED', kind: ref.kind, object, previous: current, version })
    })
  }

  /** Puts a stored change into the copy and tells the listeners. */
  #tell<K extends KindName>(change: ObjectChange): Kinds[K] {
    const object = withVersion({ ...change.object }, change.version)
    if (change.type === 'DELETED') this.#kind(change.kind).delete(keyOf(object))
    else this.#kind(change.kind).set(keyOf(object), object)
    this.#version = change.version
    const told = { ...change, object }
    this.#history.push(told)
    if (this.#history.length > HISTORY_LENGTH * 1.25) this.#history = this.#history.slice(-HISTORY_LENGTH)
    for (const name of [change.kind, '*']) for (const listener of this.#listeners.get(name) ?? []) listener(told)
    return object as Kinds[K]
  }

  /** Runs writes one after the other: versions then are told in their order, and read-then-write never races. */
  async #alone<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#lastWrite.then(work, work)
    this.#lastWrite = mine.catch(() => {})
    return await mine
  }

  #kind(kind: string): Map<string, AnyObject> {
    const known = this.#kinds.get(kind) ?? new Map<string, AnyObject>()
    this.#kinds.set(kind, known)
    return known
  }

  #listen(name: string, listener: Listener): Disposable {
    const listeners = this.#listeners.get(name) ?? new Set<Listener>()
    this.#listeners.set(name, listeners.add(listener))
    return { [Symbol.dispose]: () => listeners.delete(listener) }
  }
}

function expectSame(ref: ObjectName, current: AnyObject): void {
  const { uid, resourceVersion } = current.metadata
  const isOther = (ref.uid && ref.uid !== uid) || (ref.expectedVersion && ref.expectedVersion !== resourceVersion)
  if (isOther) throw new SlipwayError('conflict', `${ref.kind} ${ref.namespace}/${ref.name} has been modified`)
}

function keyOf(object: AnyObject): string {
  return `${object.kind}/${object.metadata.namespace ?? ''}/${object.metadata.name}`
}

function toText(object: AnyObject): string {
  const { resourceVersion: _version, ...metadata } = object.metadata
  return JSON.stringify({ ...object, metadata })
}

function withVersion<T extends AnyObject>(object: T, version: number): T {
  object.metadata = { ...object.metadata, resourceVersion: String(version) }
  return object
}
