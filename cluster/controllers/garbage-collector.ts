import { SlipwayError } from '#domain/errors'
import type { KindName, Kinds, KubeObject } from '../kinds.ts'
import { nameOf, type ObjectName } from '../objects.ts'
import type { OpenObjects } from '../open-objects.ts'
import { RESOURCES } from '../server/resources.ts'
import type { ControllerParts } from './controller.ts'
import { WorkQueue } from './work-queue.ts'

type AnyObject = Kinds[KindName]
/** Kinds that own others or are owned. */
const KINDS = RESOURCES.map(({ kind }) => kind).filter((kind) => kind !== 'Event')

/** Removes what has lost its owners, and finishes deletions that wait for dependents. Keys are uids. */
export function startGarbageCollector({ objects, log }: ControllerParts & { objects: OpenObjects }): AsyncDisposable {
  const queue = new WorkQueue(async (uid) => collect(objects, uid), log)
  const watching = objects.watchAll(({ type, object }) => {
    const { uid = '', finalizers, deletionTimestamp, ownerReferences = [] } = object.metadata
    if (type === 'DELETED' || (deletionTimestamp && finalizers)) queue.add(uid)
    // An object may be made after its owner has gone, or be the last that its owner waits for.
    for (const owner of ownerReferences) if (type !== 'MODIFIED' || deletionTimestamp) queue.add(owner.uid)
  })
  for (const object of everything(objects)) {
    if (object.metadata.deletionTimestamp) queue.add(object.metadata.uid ?? '')
    for (const { uid } of object.metadata.ownerReferences ?? []) queue.add(uid)
  }
  return {
    [Symbol.asyncDispose]: async () => {
      watching[Symbol.dispose]()
      await queue[Symbol.asyncDispose]()
    },
  }
}

function everything(objects: OpenObjects): AnyObject[] {
  return KINDS.flatMap((kind) => objects.list(kind) as AnyObject[])
}

async function collect(objects: OpenObjects, ownerUid: string): Promise<void> {
  const all = everything(objects)
  const owner = all.find(({ metadata }) => metadata.uid === ownerUid) ?? null
  const dependents = all.filter(({ metadata }) => metadata.ownerReferences?.some(({ uid }) => uid === ownerUid))
  if (owner === null) {
    const uids = new Set(all.map(({ metadata }) => metadata.uid))
    for (const each of dependents) await dropOwner(objects, each, { ownerUid, uids })
    return
  }
  const { deletionTimestamp, finalizers = [] } = owner.metadata
  if (!deletionTimestamp) return
  if (finalizers.includes('orphan')) {
    for (const each of dependents) await removeReference(objects, each, ownerUid)
    await removeFinalizer(objects, owner, 'orphan')
  } else if (finalizers.includes('foregroundDeletion')) {
    await deleteInForeground(objects, owner, dependents)
  }
}

/** The last owner's going takes the object with it. */
async function dropOwner(
  objects: OpenObjects,
  object: AnyObject,
  { ownerUid, uids }: { ownerUid: string; uids: Set<string | undefined> },
): Promise<void> {
  const hasOther = object.metadata.ownerReferences?.some(({ uid }) => uid !== ownerUid && uids.has(uid))
  if (hasOther) return await removeReference(objects, object, ownerUid)
  if (!object.metadata.deletionTimestamp) await ignoreGone(objects.delete(refOf(object), uidOf(object)))
}

/** Dependents first; those that block keep their owner until they are gone. */
async function deleteInForeground(objects: OpenObjects, owner: AnyObject, dependents: AnyObject[]): Promise<void> {
  const uid = owner.metadata.uid ?? ''
  for (const each of dependents) {
    if (each.metadata.deletionTimestamp) continue
    await ignoreGone(objects.delete(refOf(each), { ...uidOf(each), propagation: 'Foreground' }))
  }
  const isBlocking = (object: AnyObject) =>
    object.metadata.ownerReferences?.some((owner) => owner.uid === uid && owner.blockOwnerDeletion)
  const left = everything(objects).filter(isBlocking)
  if (left.length === 0) await removeFinalizer(objects, owner, 'foregroundDeletion')
}

async function removeReference(objects: OpenObjects, object: AnyObject, ownerUid: string): Promise<void> {
  await ignoreGone(
    objects.update(refOf(object), (draft) => {
      const { ownerReferences = [], ...metadata } = draft.metadata
      const left = ownerReferences.filter(({ uid }) => uid !== ownerUid)
      return { ...draft, metadata: left.length > 0 ? { ...metadata, ownerReferences: left } : metadata }
    }),
  )
}

async function removeFinalizer(objects: OpenObjects, object: AnyObject, finalizer: string): Promise<void> {
  await ignoreGone(
    objects.update(refOf(object), (draft) => {
      const { finalizers = [], ...metadata } = draft.metadata
      const left = finalizers.filter((each) => each !== finalizer)
      return { ...draft, metadata: left.length > 0 ? { ...metadata, finalizers: left } : metadata }
    }),
  )
}

function refOf(object: AnyObject): ObjectName {
  return nameOf(object as Kinds['Pod'])
}

function uidOf({ metadata }: KubeObject): { uid?: string } {
  return metadata.uid === undefined ? {} : { uid: metadata.uid }
}

/** What has gone meanwhile, or is another object by now, needs no more. */
async function ignoreGone(work: Promise<unknown>): Promise<void> {
  try {
    await work
  } catch (error) {
    const isGone = error instanceof SlipwayError && (error.kind === 'not-found' || error.kind === 'conflict')
    if (!isGone) throw error
  }
}
