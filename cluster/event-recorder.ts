import type { ClusterEvent, ObjectReference } from './kinds.ts'
import { timestamp } from './object-meta.ts'
import type { EventNote, ObjectStore } from './objects.ts'

/** How many different Events are remembered, to count instead of repeating them. */
const REMEMBERED = 1000

/** Writes Events. The same words about the same object count up the Event there is. */
export class EventRecorder {
  readonly #objects: Pick<ObjectStore, 'create' | 'update'>
  readonly #known = new Map<string, string>()
  #serial = 0

  constructor(objects: Pick<ObjectStore, 'create' | 'update'>) {
    this.#objects = objects
  }

  record(about: ObjectReference, note: EventNote): void {
    const key = JSON.stringify([about.uid, about.kind, about.name, note])
    const known = this.#known.get(key)
    const namespace = about.namespace || 'default'
    const name = known ?? this.#nextName(about)
    this.#known.delete(key)
    this.#known.set(key, name)
    for (const oldest of this.#known.keys()) if (this.#known.size > REMEMBERED) this.#known.delete(oldest)
    const written = known ? this.#count(namespace, name) : this.#objects.create(newEvent(name, about, note))
    // An Event tells of work; that it cannot be written must not stop the work. A vanished one is written anew.
    written.catch(() => this.#known.delete(key))
  }

  async #count(namespace: string, name: string): Promise<ClusterEvent> {
    return await this.#objects.update({ kind: 'Event', namespace, name }, (event) => ({
      ...event,
      count: event.count + 1,
      lastTimestamp: timestamp(),
    }))
  }

  #nextName(about: ObjectReference): string {
    this.#serial += 1
    const unique = BigInt(Date.now()) * 1_000_000n + BigInt(this.#serial % 1_000_000)
    return `${about.name}.${unique.toString(16)}`
  }
}

function newEvent(name: string, about: ObjectReference, note: EventNote): ClusterEvent {
  const now = timestamp()
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name, namespace: about.namespace || 'default' },
    involvedObject: { ...about, ...(note.fieldPath ? { fieldPath: note.fieldPath } : {}) },
    type: note.type,
    reason: note.reason,
    message: note.message,
    source: { component: note.component },
    firstTimestamp: now,
    lastTimestamp: now,
    count: 1,
  }
}
