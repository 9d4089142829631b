import type { PodLogs, PodSessions } from '../contract.ts'
import type { OpenObjects } from '../open-objects.ts'
import { badRequest, methodNotAllowed, unknownPath } from './api-error.ts'
import { type ApiReply, type ApiRequest, parseTarget, type Target } from './api-request.ts'
import { deleteCollection, deleteObject } from './delete-objects.ts'
import { discover, versionInfo } from './discovery.ts'
import { openApi } from './openapi.ts'
import { getObject, listObjects } from './read-objects.ts'
import { serveReview } from './reviews.ts'
import type { ServiceAddresses } from './service-addresses.ts'
import { serveLog, serveScale } from './subresources.ts'
import { ObjectWriter } from './write-objects.ts'

export interface ApiParts {
  objects: OpenObjects
  addresses: ServiceAddresses
  logs: PodLogs
  sessions: PodSessions
}

const HEALTH_PATHS = new Set(['/healthz', '/livez', '/readyz'])

/** Paths that tell nothing of the cluster's objects; anyone may read them. */
export function isPublic(path: string): boolean {
  return HEALTH_PATHS.has(path) || path === '/version'
}

/** Answers requests of the Kubernetes API. Errors are thrown as ApiError. */
export function createApi(parts: ApiParts): (request: ApiRequest) => Promise<ApiReply> {
  const writer = new ObjectWriter(parts.objects, parts.addresses)
  return async (request) => {
    const { path } = request
    if (HEALTH_PATHS.has(path)) return { code: 200, body: 'ok', contentType: 'text/plain' }
    if (path === '/version') return { code: 200, body: versionInfo() }
    const document = openApi(path)
    if (document) return { code: 200, body: document }
    const found = discover(path, request.accept)
    if (found) return { code: 200, ...found }
    const review = serveReview(request)
    if (review) return review
    const target = parseTarget(path)
    if (!target) throw unknownPath()
    return await serveTarget(parts, writer, target, request)
  }
}

async function serveTarget(
  parts: ApiParts,
  writer: ObjectWriter,
  target: Target,
  request: ApiRequest,
): Promise<ApiReply> {
  if (target.subresource !== '') return await serveSubresource(parts, writer, target, request)
  const { objects } = parts
  const isOne = target.name !== ''
  switch (request.method) {
    case 'GET':
      return isOne ? getObject(objects, target, request) : listObjects(objects, target, request)
    case 'POST':
      if (isOne) throw methodNotAllowed()
      return await writer.create(target, request)
    case 'PUT':
      if (!isOne) throw methodNotAllowed()
      return await writer.replace(target, request)
    case 'PATCH':
      if (!isOne) throw methodNotAllowed()
      return await writer.patch(target, request)
    case 'DELETE':
      return isOne ? await deleteObject(objects, target, request) : await deleteCollection(objects, target, request)
    default:
      throw methodNotAllowed()
  }
}

async function serveSubresource(
  { objects, logs }: ApiParts,
  writer: ObjectWriter,
  target: Target,
  request: ApiRequest,
): Promise<ApiReply> {
  const { resource, subresource } = target
  const known = resource.subresources.find((each) => each === subresource)
  switch (known) {
    case 'status':
      if (request.method === 'GET') return getObject(objects, target, request)
      if (request.method === 'PUT') return await writer.replace(target, request)
      if (request.method === 'PATCH') return await writer.patch(target, request)
      throw methodNotAllowed()
    case 'scale':
      return await serveScale(objects, target, request)
    case 'log':
      return await serveLog(objects, logs, target, request)
    case 'eviction':
      if (request.method !== 'POST') throw methodNotAllowed()
      await deleteObject(objects, target, { ...request, body: Buffer.alloc(0) })
      return { code: 201, body: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success' } }
    case 'exec':
    case 'attach':
    case 'portforward':
      throw badRequest('Upgrade request required')
    case undefined:
      throw unknownPath()
    default:
      return known satisfies never
  }
}
