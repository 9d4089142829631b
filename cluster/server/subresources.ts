import type { LogRequest, PodLogs } from '../contract.ts'
import type { Deployment, ReplicaSet } from '../kinds.ts'
import type { OpenObjects } from '../open-objects.ts'
import { selectorText } from '../selectors.ts'
import { badRequest, conflict, invalid, methodNotAllowed, notFound, toApiError } from './api-error.ts'
import { type ApiReply, type ApiRequest, flag, isDryRun, managerOf, type Target, wholeNumber } from './api-request.ts'
import { parseBody } from './decode.ts'
import { invalidValue } from './field-errors.ts'
import { isObject, type JsonObject } from './json.ts'
import { applyJsonPatch } from './json-patch.ts'
import { ownUpdated } from './managed-fields.ts'
import { applyMergePatch } from './merge-patch.ts'
import { patchTypeOf } from './patch-object.ts'

/** `…/scale`: the number of replicas alone. https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/scale-v1/ */
export async function serveScale(objects: OpenObjects, target: Target, request: ApiRequest): Promise<ApiReply> {
  const { resource, namespace, name } = target
  const kind = resource.kind as 'Deployment' | 'ReplicaSet'
  const current = objects.get(kind, namespace, name)
  if (!current) throw notFound(resource, name)
  const scale = toScale(current)
  if (request.method === 'GET') return { code: 200, body: scale }
  if (request.method !== 'PUT' && request.method !== 'PATCH') throw methodNotAllowed()
  const wanted = readScale(scale, request)
  const { replicas = 0 } = (isObject(wanted['spec']) ? wanted['spec'] : {}) as { replicas?: number }
  const { resourceVersion } = (isObject(wanted['metadata']) ? wanted['metadata'] : {}) as { resourceVersion?: string }
  if (request.method === 'PUT' && resourceVersion && resourceVersion !== current.metadata.resourceVersion) {
    throw conflict(resource, name)
  }
  if (!Number.isInteger(replicas) || replicas < 0) {
    const why = 'must be greater than or equal to 0'
    throw invalid({ ...resource, kind: 'Scale' as never, group: 'autoscaling' }, name, [
      invalidValue('spec.replicas', replicas, why),
    ])
  }
  if (isDryRun(request.query, 'UpdateOptions')) {
    return { code: 200, body: toScale({ ...current, spec: { ...current.spec, replicas } }) }
  }
  try {
    const scaled = await objects.update({ kind, namespace, name }, (draft) => {
      const before = structuredClone(draft)
      draft.spec.replicas = replicas
      return ownUpdated(before, draft, { name: managerOf(request), operation: 'Update', subresource: 'scale' })
    })
    return { code: 200, body: toScale(scaled) }
  } catch (error) {
    throw toApiError(error, resource, name)
  }
}

function readScale(current: JsonObject, request: ApiRequest): JsonObject {
  const body = parseBody(request.body, request.contentType, 'Scale')
  if (request.method === 'PUT') return isObject(body) ? body : {}
  const patched =
    patchTypeOf(request.contentType) === 'json' ? applyJsonPatch(current, body) : applyMergePatch(current, body)
  return isObject(patched) ? patched : {}
}

function toScale({ metadata, spec, status }: Deployment | ReplicaSet): JsonObject {
  const { name, namespace = '', uid = '', resourceVersion = '', creationTimestamp = '' } = metadata
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: { replicas: spec.replicas ?? 0 },
    status: { replicas: status?.replicas ?? 0, selector: selectorText(spec.selector) },
  }
}

/** `pods/P/log`. */
export async function serveLog(
  objects: OpenObjects,
  logs: PodLogs,
  target: Target,
  request: ApiRequest,
): Promise<ApiReply> {
  const { resource, namespace, name } = target
  if (request.method !== 'GET') throw methodNotAllowed()
  const pod = objects.get('Pod', namespace, name)
  if (!pod) throw notFound(resource, name)
  const names = [...(pod.spec.initContainers ?? []), ...pod.spec.containers].map((container) => container.name)
  const asked = request.query.get('container') ?? ''
  const only = pod.spec.containers.length === 1 ? (pod.spec.containers[0]?.name ?? '') : ''
  const container = asked || only
  if (container === '') {
    const list = pod.spec.containers.map((each) => each.name).join(' ')
    throw badRequest(`a container name must be specified for pod ${name}, choose one of: [${list}]`)
  }
  if (!names.includes(container)) throw badRequest(`container ${container} is not valid for pod ${name}`)
  const stream = logs.read(pod, readLogRequest(request.query, container), request.signal)
  const iterator = stream[Symbol.asyncIterator]()
  try {
    // The first piece is awaited, so that a log that does not exist is an error and not an empty answer.
    const first = await firstPiece(iterator, request)
    return { code: 200, contentType: 'text/plain', body: continued(first, iterator) }
  } catch (error) {
    const said = toApiError(error)
    throw said.kind === 'not-found' ? badRequest(said.message.replace(/^Internal error occurred: /, '')) : said
  }
}

type Piece = IteratorResult<Uint8Array, unknown> | 'later'
/** A followed log may be silent for long; its answer begins at the latest after this. */
const FIRST_PIECE_MS = 200

async function firstPiece(iterator: AsyncIterator<Uint8Array>, request: ApiRequest): Promise<[Piece, Promise<Piece>]> {
  const next = iterator.next()
  if (!flag(request.query, 'follow')) return [await next, next]
  const { promise, resolve } = Promise.withResolvers<'later'>()
  const timer = setTimeout(() => resolve('later'), FIRST_PIECE_MS)
  try {
    return [await Promise.race([next, promise]), next]
  } finally {
    clearTimeout(timer)
  }
}

async function* continued(
  [first, next]: [Piece, Promise<Piece>],
  iterator: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  try {
    for (
      let piece = first === 'later' ? await next : first;
      piece !== 'later' && !piece.done;
      piece = await iterator.next()
    ) {
      yield piece.value
    }
  } finally {
    await iterator.return?.()
  }
}

function readLogRequest(query: URLSearchParams, container: string): LogRequest {
  return {
    container,
    follow: flag(query, 'follow'),
    previous: flag(query, 'previous'),
    timestamps: flag(query, 'timestamps'),
    tailLines: wholeNumber(query, 'tailLines'),
    sinceSeconds: wholeNumber(query, 'sinceSeconds'),
    sinceTime: query.get('sinceTime'),
    limitBytes: wholeNumber(query, 'limitBytes'),
  }
}
