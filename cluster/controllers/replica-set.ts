import { messageOf } from '#domain/errors'
import type { Pod, ReplicaSet, ReplicaSetStatus } from '../kinds.ts'
import { randomSuffix } from '../object-meta.ts'
import { nameOf, type ObjectStore, referenceTo } from '../objects.ts'
import { selects } from '../selectors.ts'
import { initialStatus, withDefaults } from '../server/defaults.ts'
import { withCondition, withoutCondition } from './conditions.ts'
import {
  type ControllerParts,
  controllerOf,
  controllerReference,
  isOwnedBy,
  keyOf,
  splitKey,
  withOwner,
  withoutOwner,
} from './controller.ts'
import { compareForDeletion, isAvailable, isReady, rankOf } from './pod-order.ts'
import { WorkQueue } from './work-queue.ts'

const COMPONENT = 'replicaset-controller'

/** Keeps as many pods of each ReplicaSet as it wants. */
export function startReplicaSetController({ objects, log }: ControllerParts): AsyncDisposable {
  const queue: WorkQueue = new WorkQueue(async (key) => {
    const againMs = await syncReplicaSet(objects, key)
    if (againMs !== null) queue.addAfter(key, againMs)
  }, log)
  const addFor = (pod: Pod) => {
    const owner = controllerOf(pod)
    if (owner?.kind === 'ReplicaSet') return queue.add(`${pod.metadata.namespace}/${owner.name}`)
    if (owner) return
    for (const set of objects.list('ReplicaSet', pod.metadata.namespace)) {
      if (selects(set.spec.selector, pod.metadata.labels)) queue.add(keyOf(set))
    }
  }
  const watches = [
    objects.watch('ReplicaSet', ({ object }) => queue.add(keyOf(object)), { replay: true }),
    objects.watch('Pod', ({ object, previous }) => {
      addFor(object)
      if (previous) addFor(previous)
    }),
  ]
  return {
    [Symbol.asyncDispose]: async () => {
      for (const watch of watches) watch[Symbol.dispose]()
      await queue[Symbol.asyncDispose]()
    },
  }
}

async function syncReplicaSet(objects: ObjectStore, key: string): Promise<number | null> {
  const { namespace, name } = splitKey(key)
  const set = objects.get('ReplicaSet', namespace, name)
  if (!set) return null
  await claimPods(objects, set)
  const pods = activePods(objects, set)
  const failure = set.metadata.deletionTimestamp ? null : await resize(objects, set, pods)
  return await writeStatus(objects, set, { pods: activePods(objects, set), failure })
}

/** Takes in pods nobody owns, lets go of those the selector no longer matches. */
async function claimPods(objects: ObjectStore, set: ReplicaSet): Promise<void> {
  for (const pod of objects.list('Pod', set.metadata.namespace)) {
    const isMatch = selects(set.spec.selector, pod.metadata.labels)
    if (isOwnedBy(pod, set) && !isMatch) {
      await objects.update(nameOf(pod), (draft) => withoutOwner(draft, set))
    } else if (isMatch && !controllerOf(pod) && isActive(pod) && !set.metadata.deletionTimestamp) {
      await objects.update(nameOf(pod), (draft) => withOwner(draft, set))
    }
  }
}

function activePods(objects: ObjectStore, set: ReplicaSet): Pod[] {
  return objects.list('Pod', set.metadata.namespace).filter((pod) => isOwnedBy(pod, set) && isActive(pod))
}

function isActive({ metadata, status }: Pod): boolean {
  return status?.phase !== 'Succeeded' && status?.phase !== 'Failed' && !metadata.deletionTimestamp
}

/** Makes or removes pods; resolves to why that failed, or null. */
async function resize(objects: ObjectStore, set: ReplicaSet, pods: Pod[]): Promise<string | null> {
  const missing = (set.spec.replicas ?? 0) - pods.length
  try {
    // Reads see every write at once, so nothing is made twice; the first failure stops the rest.
    for (let made = 0; made < missing; made++) await createPod(objects, set)
    for (const pod of toDelete(pods, -missing)) await deletePod(objects, set, pod)
    return null
  } catch (error) {
    const reason = missing > 0 ? 'FailedCreate' : 'FailedDelete'
    const message = `Error ${missing > 0 ? 'creating' : 'deleting'}: ${messageOf(error)}`
    objects.recordEvent(referenceTo(set), { type: 'Warning', reason, message, component: COMPONENT })
    return messageOf(error)
  }
}

function toDelete(pods: Pod[], count: number): Pod[] {
  if (count <= 0) return []
  const onNode = (node: string) => pods.filter(({ spec }) => (spec.nodeName ?? '') === node).length
  const ranked = pods.map((pod) => ({ pod, rank: rankOf(pod, onNode(pod.spec.nodeName ?? '')) }))
  return ranked
    .sort((a, b) => compareForDeletion(a.rank, b.rank))
    .slice(0, count)
    .map(({ pod }) => pod)
}

async function createPod(objects: ObjectStore, set: ReplicaSet): Promise<void> {
  const { template } = set.spec
  const draft: Pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `${set.metadata.name}-${randomSuffix()}`,
      generateName: `${set.metadata.name}-`,
      namespace: set.metadata.namespace ?? '',
      labels: { ...template.metadata?.labels },
      ...(template.metadata?.annotations ? { annotations: template.metadata.annotations } : {}),
      ownerReferences: [controllerReference(set)],
    },
    spec: template.spec,
  }
  const pod = await objects.create(initialStatus(withDefaults(draft)))
  const message = `Created pod: ${pod.metadata.name}`
  objects.recordEvent(referenceTo(set), { type: 'Normal', reason: 'SuccessfulCreate', message, component: COMPONENT })
}

async function deletePod(objects: ObjectStore, set: ReplicaSet, pod: Pod): Promise<void> {
  await objects.delete(nameOf(pod), pod.metadata.uid === undefined ? {} : { uid: pod.metadata.uid })
  const message = `Deleted pod: ${pod.metadata.name}`
  objects.recordEvent(referenceTo(set), { type: 'Normal', reason: 'SuccessfulDelete', message, component: COMPONENT })
}

async function writeStatus(
  objects: ObjectStore,
  set: ReplicaSet,
  { pods, failure }: { pods: Pod[]; failure: string | null },
): Promise<number | null> {
  const nowMs = Date.now()
  const { minReadySeconds = 0, template, replicas = 0 } = set.spec
  const ready = pods.filter(isReady)
  const available = ready.filter((pod) => isAvailable(pod, minReadySeconds, nowMs))
  const labels = Object.entries(template.metadata?.labels ?? {})
  const labelled = pods.filter((pod) => labels.every(([key, value]) => pod.metadata.labels?.[key] === value))
  const counts = {
    fullyLabeledReplicas: labelled.length,
    readyReplicas: ready.length,
    availableReplicas: available.length,
  }
  await objects.updateStatus(nameOf(set), (draft) => {
    const before = draft.status?.conditions ?? []
    const reason = replicas > pods.length ? 'FailedCreate' : 'FailedDelete'
    const conditions = failure
      ? withCondition(before, { type: 'ReplicaFailure', status: 'True', reason, message: failure })
      : withoutCondition(before, 'ReplicaFailure')
    const status: ReplicaSetStatus = {
      replicas: pods.length,
      ...Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0)),
      observedGeneration: set.metadata.generation ?? 1,
      ...(conditions.length > 0 ? { conditions } : {}),
    }
    return { ...draft, status }
  })
  if (failure) throw new Error(`ReplicaSet ${set.metadata.name}: ${failure}`)
  return nextAvailableMs(ready, minReadySeconds, nowMs)
}

/** Readiness becomes availability without any change: how long until it next does; null where nothing is waited for. */
function nextAvailableMs(ready: Pod[], minReadySeconds: number, nowMs: number): number | null {
  const waiting = ready.filter((pod) => !isAvailable(pod, minReadySeconds, nowMs))
  if (waiting.length === 0) return null
  const times = waiting.map((pod) => (rankOf(pod, 0).readySince ?? nowMs) + minReadySeconds * 1000)
  return Math.max(0, Math.min(...times) - nowMs) + 1
}
