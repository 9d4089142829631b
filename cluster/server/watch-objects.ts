import type { KubeObject } from '../kinds.ts'
import type { ObjectChange } from '../objects.ts'
import type { OpenObjects } from '../open-objects.ts'
import { negotiate, type View } from './accept.ts'
import { expired } from './api-error.ts'
import { type ApiReply, type ApiRequest, flag, type Target, wholeNumber } from './api-request.ts'
import { type Filter, readFilter } from './filters.ts'
import type { Json, JsonObject } from './json.ts'
import { groupVersion } from './resources.ts'
import { toTable } from './tables.ts'

/** A watch without `timeoutSeconds` ends after this long; clients begin anew. */
const DEFAULT_TIMEOUT_SECONDS = 1800
const BOOKMARK_INTERVAL_MS = 60_000
/** A watcher that is this many changes behind is cut off, and begins anew with a list. */
const QUEUE_LIMIT = 10_000

interface WatchOptions {
  target: Target
  filter: Filter
  view: View
  includeObject: string | null
  /** Changes after this version; null means everything there is now first. */
  after: number | null
  bookmarks: boolean
  /** Whether a bookmark tells where the initial objects end. */
  marksInitialEnd: boolean
  signal: AbortSignal
}

export function watchObjects(objects: OpenObjects, target: Target, request: ApiRequest): ApiReply {
  const { query } = request
  const { view } = negotiate(request.accept)
  const version = wholeNumber(query, 'resourceVersion') ?? 0
  const sendsInitial = flag(query, 'sendInitialEvents')
  const timeoutMs = (wholeNumber(query, 'timeoutSeconds') || DEFAULT_TIMEOUT_SECONDS) * 1000
  const options: WatchOptions = {
    target,
    filter: readFilter(target, query),
    view,
    includeObject: query.get('includeObject'),
    after: version === 0 || sendsInitial ? null : version,
    bookmarks: flag(query, 'allowWatchBookmarks'),
    marksInitialEnd: sendsInitial,
    signal: AbortSignal.any([request.signal, AbortSignal.timeout(timeoutMs)]),
  }
  const contentType = view === 'table' ? 'application/json;stream=watch' : 'application/json'
  return { code: 200, contentType, body: streamChanges(objects, options) }
}

async function* streamChanges(objects: OpenObjects, options: WatchOptions): AsyncGenerator<string> {
  const show = eventWriter(options)
  const queue = new ChangeQueue(options.signal)
  using _watching = objects.watch(options.target.resource.kind, (change) => queue.push(change))
  const missed = options.after === null ? [] : objects.changesSince(options.after)
  if (missed === null) {
    yield `${JSON.stringify({ type: 'ERROR', object: expired(options.after ?? 0, objects.version).toStatus() })}\n`
    return
  }
  // From here to the first await nothing can change, so nothing is missed and nothing comes twice.
  yield* initialEvents(objects, options, show)
  for (const change of missed) if (change.kind === options.target.resource.kind) yield* seen(change, options, show)
  for await (const change of queue.changes()) {
    if (change) yield* seen(change, options, show)
    else if (options.bookmarks) yield show('BOOKMARK', bookmark(options, objects.version))
  }
}

function* initialEvents(objects: OpenObjects, options: WatchOptions, show: EventWriter): Generator<string> {
  const { resource, namespace } = options.target
  if (options.after !== null) return
  const version = objects.version
  for (const object of objects.list(resource.kind, namespace)) if (options.filter(object)) yield show('ADDED', object)
  if (options.marksInitialEnd && options.bookmarks) {
    yield show('BOOKMARK', bookmark(options, version, { 'k8s.io/initial-events-end': 'true' }))
  }
}

/** A change as this watcher sees it: what leaves its selection is deleted for it, what enters is added. */
function* seen(change: ObjectChange, options: WatchOptions, show: EventWriter): Generator<string> {
  const wasIn = change.previous !== null && options.filter(change.previous)
  const isIn = change.type !== 'DELETED' && options.filter(change.object)
  if (isIn) yield show(wasIn ? 'MODIFIED' : 'ADDED', change.object)
  else if (wasIn && change.previous) {
    const { metadata } = change.previous
    yield show('DELETED', { ...change.previous, metadata: { ...metadata, resourceVersion: String(change.version) } })
  }
}

type EventWriter = (type: string, object: KubeObject) => string

function eventWriter({ view, includeObject, target }: WatchOptions): EventWriter {
  let isFirst = true
  return (type, object) => {
    let shown: Json = object as unknown as JsonObject
    if (view === 'table') {
      const version = object.metadata.resourceVersion ?? ''
      const rows = type === 'BOOKMARK' ? [] : [object]
      const table = toTable(rows, { version, include: includeObject, kind: target.resource.kind })
      if (!isFirst) table['columnDefinitions'] = null
      isFirst = false
      shown = table
    } else if (view === 'metadata') {
      const metadata = object.metadata as unknown as JsonObject
      shown = { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata }
    }
    return `${JSON.stringify({ type, object: shown })}\n`
  }
}

function bookmark({ target }: WatchOptions, version: number, annotations?: Record<string, string>): KubeObject {
  const metadata = {
    resourceVersion: String(version),
    creationTimestamp: null,
    ...(annotations ? { annotations } : {}),
  }
  const { resource } = target
  return { kind: resource.kind, apiVersion: groupVersion(resource), metadata } as unknown as KubeObject
}

/** Changes waiting for one watcher. */
class ChangeQueue {
  readonly #waiting: ObjectChange[] = []
  readonly #signal: AbortSignal
  #wake = () => {}
  #overflowed = false

  constructor(signal: AbortSignal) {
    this.#signal = signal
  }

  push(change: ObjectChange): void {
    this.#waiting.push(change)
    if (this.#waiting.length > QUEUE_LIMIT) this.#overflowed = true
    this.#wake()
  }

  /** Each change in turn; null when it is time for a bookmark. Ends with the signal. */
  async *changes(): AsyncGenerator<ObjectChange | null> {
    while (!this.#signal.aborted && !this.#overflowed) {
      const change = this.#waiting.shift()
      if (change) yield change
      else if (await this.#pause()) yield null
    }
  }

  /** Waits for a change or the end; true when only time went by. */
  async #pause(): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const onAbort = () => resolve(false)
    const timer = setTimeout(() => resolve(true), BOOKMARK_INTERVAL_MS)
    this.#wake = () => resolve(false)
    this.#signal.addEventListener('abort', onAbort, { once: true })
    try {
      return await promise
    } finally {
      clearTimeout(timer)
      this.#signal.removeEventListener('abort', onAbort)
    }
  }
}
