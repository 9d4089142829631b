import type { Logger } from '#host/log'
import type { KubeObject, OwnerReference } from '../kinds.ts'
import type { ObjectStore } from '../objects.ts'

export interface ControllerParts {
  objects: ObjectStore
  log: Logger
}

export function keyOf({ metadata }: KubeObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`
}

export function splitKey(key: string): { namespace: string; name: string } {
  const slash = key.indexOf('/')
  return { namespace: key.slice(0, slash), name: key.slice(slash + 1) }
}

/** The one owner that manages an object. */
export function controllerOf({ metadata }: KubeObject): OwnerReference | null {
  return metadata.ownerReferences?.find(({ controller }) => controller) ?? null
}

export function isOwnedBy(object: KubeObject, owner: KubeObject): boolean {
  return controllerOf(object)?.uid === owner.metadata.uid
}

export function controllerReference({ apiVersion, kind, metadata }: KubeObject): OwnerReference {
  const { name, uid = '' } = metadata
  return { apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true }
}

export function withOwner<T extends KubeObject>(object: T, owner: KubeObject): T {
  const references = [...(object.metadata.ownerReferences ?? []), controllerReference(owner)]
  return { ...object, metadata: { ...object.metadata, ownerReferences: references } }
}

export function withoutOwner<T extends KubeObject>(object: T, owner: KubeObject): T {
  const { ownerReferences = [], ...metadata } = object.metadata
  const left = ownerReferences.filter(({ uid }) => uid !== owner.metadata.uid)
  return { ...object, metadata: left.length > 0 ? { ...metadata, ownerReferences: left } : metadata }
}
