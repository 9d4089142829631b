import { SlipwayError } from '#domain/errors'
import type { Namespace } from '../kinds.ts'
import { nameOf, type ObjectStore } from '../objects.ts'
import type { OpenObjects } from '../open-objects.ts'
import { initialStatus, withDefaults } from '../server/defaults.ts'
import { RESOURCES } from '../server/resources.ts'
import type { ControllerParts } from './controller.ts'
import { WorkQueue } from './work-queue.ts'

const ALWAYS = ['default', 'kube-system']

/** Makes the namespaces that are always there, and empties those that are deleted. */
export async function startNamespaceController({
  objects,
  log,
}: ControllerParts & { objects: OpenObjects }): Promise<AsyncDisposable> {
  for (const name of ALWAYS) {
    if (!objects.get('Namespace', '', name)) await objects.create(initialStatus(withDefaults(newNamespace(name))))
  }
  const queue = new WorkQueue(async (name) => finalize(objects, name), log)
  const watching = objects.watchAll(({ type, object }) => {
    if (object.kind === 'Namespace' && object.metadata.deletionTimestamp) queue.add(object.metadata.name)
    const { namespace } = object.metadata
    if (type === 'DELETED' && namespace && objects.get('Namespace', '', namespace)?.metadata.deletionTimestamp) {
      queue.add(namespace)
    }
  })
  for (const { metadata } of objects.list('Namespace')) if (metadata.deletionTimestamp) queue.add(metadata.name)
  return {
    [Symbol.asyncDispose]: async () => {
      watching[Symbol.dispose]()
      await queue[Symbol.asyncDispose]()
    },
  }
}

function newNamespace(name: string): Namespace & { kind: 'Namespace' } {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name } }
}

async function finalize(objects: ObjectStore, name: string): Promise<void> {
  const namespace = objects.get('Namespace', '', name)
  if (!namespace?.metadata.deletionTimestamp) return
  await objects.updateStatus(nameOf(namespace), (draft) => ({ ...draft, status: { phase: 'Terminating' } }))
  let left = 0
  for (const { kind, namespaced } of RESOURCES) {
    for (const object of namespaced ? objects.list(kind, name) : []) {
      left += 1
      if (object.metadata.deletionTimestamp) continue
      await objects.delete({ kind, namespace: name, name: object.metadata.name }).catch((error: unknown) => {
        if (!(error instanceof SlipwayError) || error.kind !== 'not-found') throw error
      })
    }
  }
  // The last deletion calls this again.
  if (left > 0) return
  await objects.update(nameOf(namespace), (draft) => ({ ...draft, spec: { finalizers: [] } }))
}
