import type { KubeObject } from '../kinds.ts'
import type { DeleteOptions } from '../objects.ts'
import type { OpenObjects } from '../open-objects.ts'
import { forbidden, notFound, toApiError } from './api-error.ts'
import { type ApiReply, type ApiRequest, isDryRun, type Target, wholeNumber } from './api-request.ts'
import { parseBody } from './decode.ts'
import { readFilter } from './filters.ts'
import { isObject, type JsonObject } from './json.ts'
import { groupVersion } from './resources.ts'

/** Namespaces that are always there. */
const PERMANENT = ['default', 'kube-system']

export async function deleteObject(objects: OpenObjects, target: Target, request: ApiRequest): Promise<ApiReply> {
  const { resource, namespace, name } = target
  const dryRun = isDryRun(request.query, 'DeleteOptions')
  const current = objects.get(resource.kind, namespace, name)
  if (!current) throw notFound(resource, name)
  if (resource.kind === 'Namespace' && PERMANENT.includes(name)) {
    throw forbidden(resource, name, 'this namespace may not be deleted')
  }
  if (dryRun) return { code: 200, body: success(target, current) }
  try {
    const ref = { kind: resource.kind, namespace, name }
    const left = await objects.delete(ref, readOptions(request))
    const isGone = objects.get(resource.kind, namespace, name)?.metadata.uid !== current.metadata.uid
    return { code: 200, body: isGone ? success(target, current) : (left as unknown as JsonObject) }
  } catch (error) {
    throw toApiError(error, resource, name)
  }
}

export async function deleteCollection(objects: OpenObjects, target: Target, request: ApiRequest): Promise<ApiReply> {
  const { resource } = target
  const matching = objects.list(resource.kind, target.namespace).filter(readFilter(target, request.query))
  const options = readOptions(request)
  if (!isDryRun(request.query, 'DeleteOptions')) {
    for (const { metadata } of matching) {
      const ref = { kind: resource.kind, namespace: metadata.namespace ?? '', name: metadata.name }
      // One that has gone by itself meanwhile is what was wanted.
      await objects.delete(ref, options).catch(() => {})
    }
  }
  const metadata = { resourceVersion: String(objects.version) }
  const items = matching as unknown as JsonObject[]
  return { code: 200, body: { kind: `${resource.kind}List`, apiVersion: groupVersion(resource), metadata, items } }
}

function readOptions({ body, contentType, query }: ApiRequest): DeleteOptions {
  const given = body.length > 0 ? parseBody(body, contentType, 'DeleteOptions') : {}
  const options = isObject(given) ? given : {}
  const preconditions = isObject(options['preconditions']) ? options['preconditions'] : {}
  const graceSeconds = options['gracePeriodSeconds'] ?? wholeNumber(query, 'gracePeriodSeconds')
  const policy = options['propagationPolicy'] ?? query.get('propagationPolicy')
  const uid = preconditions['uid']
  return {
    ...(typeof graceSeconds === 'number' ? { gracePeriodSeconds: graceSeconds } : {}),
    ...(typeof uid === 'string' ? { uid } : {}),
    ...(policy === 'Foreground' || policy === 'Orphan' ? { propagation: policy } : {}),
  }
}

function success({ resource, name }: Target, { metadata }: KubeObject): JsonObject {
  const details: JsonObject = {
    name,
    ...(resource.group ? { group: resource.group } : {}),
    kind: resource.plural,
    ...(metadata.uid ? { uid: metadata.uid } : {}),
  }
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details }
}
