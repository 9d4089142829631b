import type { KubeObject } from '../kinds.ts'
import type { OpenObjects } from '../open-objects.ts'
import { negotiate, type View } from './accept.ts'
import { ApiError, badRequest, notFound } from './api-error.ts'
import { type ApiReply, type ApiRequest, flag, type Target, wholeNumber } from './api-request.ts'
import { readFilter } from './filters.ts'
import type { Json, JsonObject } from './json.ts'
import { groupVersion } from './resources.ts'
import { toTable } from './tables.ts'
import { watchObjects } from './watch-objects.ts'

export function getObject(objects: OpenObjects, target: Target, request: ApiRequest): ApiReply {
  const { resource, namespace, name } = target
  const wanted = negotiate(request.accept)
  const object = objects.get(resource.kind, namespace, name)
  if (!object) throw notFound(resource, name)
  return { code: 200, body: showObject(object, wanted.view, request.query), contentType: wanted.contentType }
}

/** One object in the form that was asked for. */
function showObject(object: KubeObject, view: View, query: URLSearchParams): Json {
  if (view === 'table') {
    return toTable([object], { version: object.metadata.resourceVersion ?? '', include: query.get('includeObject') })
  }
  return view === 'metadata' ? toMetadata(object) : (object as unknown as JsonObject)
}

function toMetadata({ metadata }: KubeObject): JsonObject {
  const shown = metadata as unknown as JsonObject
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: shown }
}

export function listObjects(objects: OpenObjects, target: Target, request: ApiRequest): ApiReply {
  checkVersion(request.query)
  if (flag(request.query, 'watch')) return watchObjects(objects, target, request)
  const { resource } = target
  const { view, contentType } = negotiate(request.accept)
  const all = objects.list(resource.kind, target.namespace).filter(readFilter(target, request.query))
  const page = readPage(all, request.query)
  const version = String(objects.version)
  const metadata: JsonObject = { resourceVersion: version, ...page.metadata }
  if (view === 'table') {
    const table = toTable(page.items, { version, include: request.query.get('includeObject'), kind: resource.kind })
    return { code: 200, contentType, body: { ...table, metadata } }
  }
  if (view === 'metadata') {
    const items = page.items.map((item) => toMetadata(item))
    const body = { kind: 'PartialObjectMetadataList', apiVersion: 'meta.k8s.io/v1', metadata, items }
    return { code: 200, contentType, body }
  }
  const items = page.items.map(({ kind: _kind, apiVersion: _version, ...item }) => item as unknown as JsonObject)
  const body = { kind: `${resource.kind}List`, apiVersion: groupVersion(resource), metadata, items }
  return { code: 200, contentType, body }
}

function checkVersion(query: URLSearchParams): void {
  const version = query.get('resourceVersion') ?? ''
  if (/^\d*$/.test(version)) return
  const shown = JSON.stringify(version)
  const why = `strconv.ParseUint: parsing ${shown}: invalid syntax`
  throw new ApiError(500, '', `resourceVersion: Invalid value: ${shown}: ${why}`)
}

/** A page of a list: `continue` names the last object of the page before. */
function readPage(all: KubeObject[], query: URLSearchParams): { items: KubeObject[]; metadata: JsonObject } {
  const limit = wholeNumber(query, 'limit') ?? 0
  const after = readContinue(query.get('continue') ?? '')
  const place = ({ metadata }: KubeObject) => `${metadata.namespace ?? ''}/${metadata.name}`
  const rest = after === null ? all : all.filter((object) => place(object) > after)
  if (limit === 0 || rest.length <= limit) return { items: rest, metadata: {} }
  const items = rest.slice(0, limit)
  const last = items.at(-1)
  const token = Buffer.from(JSON.stringify({ after: last ? place(last) : '' })).toString('base64url')
  const isFiltered = query.has('labelSelector') || query.has('fieldSelector')
  return {
    items,
    metadata: { continue: token, ...(isFiltered ? {} : { remainingItemCount: rest.length - limit }) },
  }
}

function readContinue(token: string): string | null {
  if (token === '') return null
  try {
    const { after } = JSON.parse(Buffer.from(token, 'base64url').toString()) as { after: unknown }
    if (typeof after === 'string') return after
  } catch {
    // A token we did not make is the client's mistake, whatever it holds.
  }
  throw badRequest('continue key is not valid')
}
