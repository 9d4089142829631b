import { isDeepStrictEqual } from 'node:util'
import type { KubeObject, ObjectMeta, Service } from '../kinds.ts'
import { randomSuffix } from '../object-meta.ts'
import type { ObjectName } from '../objects.ts'
import type { OpenObjects } from '../open-objects.ts'
import {
  alreadyExists,
  badRequest,
  conflict,
  forbidden,
  invalid,
  invalidOption,
  notFound,
  toApiError,
} from './api-error.ts'
import { type ApiReply, type ApiRequest, flag, isDryRun, managerOf, type Target } from './api-request.ts'
import { decodeObject, parseBody, strictDecodingError } from './decode.ts'
import { initialStatus, withDefaults } from './defaults.ts'
import type { Json, JsonObject } from './json.ts'
import { applyFields, type Manager, ownUpdated } from './managed-fields.ts'
import { patchObject, patchTypeOf } from './patch-object.ts'
import { groupVersion, resourceOf } from './resources.ts'
import type { ServiceAddresses } from './service-addresses.ts'
import { validate } from './validate.ts'

/** Creates and changes objects for clients: strict decoding, defaults, validation, addresses of Services. */
export class ObjectWriter {
  readonly #objects: OpenObjects
  readonly #addresses: ServiceAddresses

  constructor(objects: OpenObjects, addresses: ServiceAddresses) {
    this.#objects = objects
    this.#addresses = addresses
  }

  async create(target: Target, request: ApiRequest): Promise<ApiReply> {
    const dryRun = isDryRun(request.query, 'CreateOptions')
    const body = parseBody(request.body, request.contentType, target.resource.kind)
    const { object: given, warnings } = this.#decode(body, target, request)
    const own = (object: KubeObject) => ownUpdated(null, object, updaterOf(target, request))
    return await this.#create(target, { given, own, dryRun, warnings })
  }

  async #create(target: Target, { given, own, dryRun, warnings }: Creation): Promise<ApiReply> {
    const { resource } = target
    const prepared = withDefaults(this.#asNew(given, target))
    checkCauses(prepared, null)
    this.#expectNamespace(target, prepared)
    const { object, release } = this.#withAddresses(prepared, null)
    const started = initialStatus(own(object))
    try {
      const created = dryRun
        ? this.#pretend(started)
        : await this.#objects.create(started as Parameters<OpenObjects['create']>[0])
      return { code: 201, body: created as unknown as JsonObject, warnings }
    } catch (error) {
      throw toApiError(error, resource, object.metadata.name)
    } finally {
      release()
    }
  }

  /** PUT: the object as a whole, or its status. */
  async replace(target: Target, request: ApiRequest): Promise<ApiReply> {
    const dryRun = isDryRun(request.query, 'UpdateOptions')
    const body = parseBody(request.body, request.contentType, target.resource.kind)
    const { object, warnings } = this.#decode(body, target, request)
    if (object.metadata.name !== target.name) {
      throw badRequest(
        `the name of the object (${object.metadata.name}) does not match the name on the URL (${target.name})`,
      )
    }
    const own = (before: KubeObject, after: KubeObject) => ownUpdated(before, after, updaterOf(target, request))
    return await this.#change(target, { dryRun, warnings, change: () => object, own })
  }

  async patch(target: Target, request: ApiRequest): Promise<ApiReply> {
    const dryRun = isDryRun(request.query, 'PatchOptions')
    const type = patchTypeOf(request.contentType)
    const patch = parseBody(request.body, request.contentType, target.resource.kind)
    if (type === 'apply') return await this.#apply(target, request, patch)
    const warnings: string[] = []
    const change = (current: KubeObject): KubeObject => {
      const decoded = this.#decode(patchObject(type, current, patch), target, request)
      warnings.splice(0, warnings.length, ...decoded.warnings)
      return decoded.object
    }
    const own = (before: KubeObject, after: KubeObject) => ownUpdated(before, after, updaterOf(target, request))
    return await this.#change(target, { dryRun, warnings, change, own })
  }

  /** Server-side apply. https://kubernetes.io/docs/reference/using-api/server-side-apply/ */
  async #apply(target: Target, request: ApiRequest, body: Json): Promise<ApiReply> {
    const { resource, namespace, name } = target
    if (!request.query.get('fieldManager')) {
      const message = 'Required value: is required for apply patch'
      throw invalidOption('PatchOptions', { reason: 'FieldValueRequired', message, field: 'fieldManager' })
    }
    const { object: applied, warnings } = this.#decode(body, target, request)
    if (applied.metadata.managedFields?.length) throw badRequest('metadata.managedFields must be nil')
    const dryRun = isDryRun(request.query, 'PatchOptions')
    const manager = { name: managerOf(request), operation: 'Apply', subresource: target.subresource } as const
    const application = { applied, manager, force: flag(request.query, 'force') }
    if (!this.#objects.get(resource.kind, namespace, name)) {
      if (target.subresource) throw notFound(resource, name)
      const metadata = { ...applied.metadata, name }
      const { metadata: owned } = applyFields({ ...newObject(target), metadata: { name } }, application)
      const own = (object: KubeObject) => ({
        ...object,
        metadata: { ...object.metadata, ...(owned.managedFields ? { managedFields: owned.managedFields } : {}) },
      })
      return await this.#create(target, { given: { ...applied, metadata }, own, dryRun, warnings })
    }
    const change = (current: KubeObject) => applyFields(current, application)
    return await this.#change(target, { dryRun, warnings, change, own: (_before, after) => after })
  }

  /** Changes what is stored; `change` runs on the latest state. */
  async #change(target: Target, { change, own, dryRun, warnings }: Change): Promise<ApiReply> {
    const { resource, name } = target
    const ref: ObjectName = { kind: resource.kind, namespace: target.namespace, name }
    const releases: (() => void)[] = []
    const finish = (current: KubeObject): KubeObject => {
      const changed = change(structuredClone(current))
      const { resourceVersion, uid } = changed.metadata
      if (resourceVersion && resourceVersion !== current.metadata.resourceVersion) throw conflict(resource, name)
      if (uid && uid !== current.metadata.uid) {
        throw conflict(
          resource,
          name,
          `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${current.metadata.uid}`,
        )
      }
      if (target.subresource === 'status') return own(current, changed)
      const full = withDefaults({ ...changed, metadata: keptMeta(changed.metadata, current.metadata) })
      const { object: addressed, release } = this.#withAddresses(full, current)
      releases.push(release)
      checkCauses(addressed, current)
      const object = own(current, addressed)
      return isDeepStrictEqual(object, current) ? current : object
    }
    try {
      if (dryRun) {
        const current = this.#current(target)
        if (!current) throw notFound(resource, name)
        return { code: 200, body: finish(structuredClone(current)) as unknown as JsonObject, warnings }
      }
      const write = target.subresource === 'status' ? 'updateStatus' : 'update'
      const stored = await this.#objects[write](ref, (draft) => finish(draft) as typeof draft)
      return { code: 200, body: stored as unknown as JsonObject, warnings }
    } catch (error) {
      throw toApiError(error, resource, name)
    } finally {
      for (const release of releases) release()
    }
  }

  #current({ resource, namespace, name }: Target): KubeObject | null {
    return this.#objects.get(resource.kind, namespace, name)
  }

  #decode(body: Json, target: Target, { query }: ApiRequest): { object: KubeObject; warnings: string[] } {
    const { resource, namespace } = target
    const { object, unknown } = decodeObject(body, resource)
    const mode = query.get('fieldValidation') || 'Warn'
    if (mode === 'Strict' && unknown.length > 0) throw strictDecodingError(resource, unknown)
    const metadata = (object['metadata'] ?? {}) as unknown as ObjectMeta
    if (resource.namespaced && metadata.namespace && metadata.namespace !== namespace) {
      throw badRequest('the namespace of the provided object does not match the namespace sent on the request')
    }
    const placed = resource.namespaced ? { ...metadata, namespace } : metadata
    return {
      object: { ...(object as unknown as KubeObject), metadata: placed },
      warnings: mode === 'Warn' ? unknown : [],
    }
  }

  #asNew(object: KubeObject, { resource }: Target): KubeObject {
    const {
      uid: _uid,
      resourceVersion,
      creationTimestamp: _created,
      deletionTimestamp: _deleted,
      ...rest
    } = object.metadata
    if (resourceVersion) throw badRequest('resourceVersion should not be set on objects to be created')
    const { generation: _generation, managedFields: _fields, deletionGracePeriodSeconds: _grace, ...metadata } = rest
    const name = metadata.name || (metadata.generateName ? `${metadata.generateName}${randomSuffix()}` : '')
    return { ...object, metadata: { ...metadata, name, ...(resource.counted ? { generation: 1 } : {}) } }
  }

  #expectNamespace({ resource, namespace }: Target, object: KubeObject): void {
    if (!resource.namespaced) return
    const found = this.#objects.get('Namespace', '', namespace)
    if (!found) throw notFound(resourceOf('Namespace'), namespace)
    if (!found.metadata.deletionTimestamp) return
    const why = `unable to create new content in namespace ${namespace} because it is being terminated`
    throw forbidden(resource, object.metadata.name, why)
  }

  #withAddresses(object: KubeObject, before: KubeObject | null): { object: KubeObject; release: () => void } {
    if (object.kind !== 'Service') return { object, release: () => {} }
    const { service, release } = this.#addresses.assign(object as Service, before as Service | null)
    return { object: service, release }
  }

  #pretend(object: KubeObject): KubeObject {
    const { namespace = '', name } = object.metadata
    const resource = resourceOf(object.kind as ObjectName['kind'])
    if (this.#objects.get(resource.kind, namespace, name)) {
      throw alreadyExists(resource, name)
    }
    return object
  }
}

interface Creation {
  given: KubeObject
  own: (object: KubeObject) => KubeObject
  dryRun: boolean
  warnings: string[]
}

interface Change {
  change: (current: KubeObject) => KubeObject
  /** Notes whose fields are whose. */
  own: (before: KubeObject, after: KubeObject) => KubeObject
  dryRun: boolean
  warnings: string[]
}

function newObject({ resource }: Target): Pick<KubeObject, 'apiVersion' | 'kind'> {
  return { apiVersion: groupVersion(resource), kind: resource.kind }
}

function updaterOf({ subresource }: Target, request: ApiRequest): Manager {
  return { name: managerOf(request), operation: 'Update', subresource }
}

/** What clients cannot change about an object. */
function keptMeta(changed: ObjectMeta, { ...current }: ObjectMeta): ObjectMeta {
  const kept: ObjectMeta = { ...changed, name: current.name }
  const fixed = [
    'uid',
    'creationTimestamp',
    'deletionTimestamp',
    'deletionGracePeriodSeconds',
    'generation',
    'resourceVersion',
    'namespace',
    'generateName',
  ] as const
  for (const field of fixed) {
    delete kept[field]
    Object.assign(kept, current[field] === undefined ? {} : { [field]: current[field] })
  }
  return kept
}

function checkCauses(object: KubeObject, before: KubeObject | null): void {
  const causes = validate(object, before)
  if (causes.length > 0) throw invalid(resourceOf(object.kind as ObjectName['kind']), object.metadata.name, causes)
}
