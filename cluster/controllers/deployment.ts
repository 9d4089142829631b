import type { Deployment, ReplicaSet } from '../kinds.ts'
import { nameOf, type ObjectStore } from '../objects.ts'
import { withCondition } from './conditions.ts'
import type { ControllerParts } from './controller.ts'
import { controllerOf, keyOf, splitKey } from './controller.ts'
import { DeploymentSets } from './deployment-sets.ts'
import { countStatus, isComplete, nextDeadlineCheckMs, pausedCondition, rolloutStatus } from './deployment-status.ts'
import { annotatedNumber, DESIRED_REPLICAS, MAX_REPLICAS } from './revisions.ts'
import { boundsOf, nextNewSize, type ScaledSize, type Sizes, scaleInProportion, shrinkOld } from './rolling-update.ts'
import { WorkQueue } from './work-queue.ts'

/** Keeps each Deployment's ReplicaSets at the sizes its rollout wants. One step a run; the change it makes starts the next. */
export function startDeploymentController({ objects, log }: ControllerParts): AsyncDisposable {
  const queue: WorkQueue = new WorkQueue(async (key) => {
    const againMs = await syncDeployment(objects, key)
    if (againMs !== null) queue.addAfter(key, againMs)
  }, log)
  const addOwner = (set: ReplicaSet) => {
    const owner = controllerOf(set)
    if (owner?.kind === 'Deployment') queue.add(`${set.metadata.namespace}/${owner.name}`)
  }
  const watches = [
    objects.watch('Deployment', ({ object }) => queue.add(keyOf(object)), { replay: true }),
    objects.watch('ReplicaSet', ({ object, previous }) => {
      addOwner(object)
      if (previous) addOwner(previous)
      if (controllerOf(object)) return
      // An orphan may belong to any Deployment of its namespace.
      for (const each of objects.list('Deployment', object.metadata.namespace)) queue.add(keyOf(each))
    }),
    // Recreate waits for pods to be gone, which changes no ReplicaSet.
    objects.watch('Pod', ({ type, object }) => {
      const owner = type === 'DELETED' ? controllerOf(object) : null
      const set = owner && objects.get('ReplicaSet', object.metadata.namespace ?? '', owner.name)
      if (set) addOwner(set)
    }),
  ]
  return {
    [Symbol.asyncDispose]: async () => {
      for (const watch of watches) watch[Symbol.dispose]()
      await queue[Symbol.asyncDispose]()
    },
  }
}

/** One step; resolves to the milliseconds after which to look again, or null. */
async function syncDeployment(objects: ObjectStore, key: string): Promise<number | null> {
  const { namespace, name } = splitKey(key)
  const deployment = objects.get('Deployment', namespace, name)
  if (!deployment) return null
  const sets = new DeploymentSets(objects, deployment)
  await sets.claim()
  if (deployment.metadata.deletionTimestamp) return await writeStatus(objects, deployment, sets, 'counts')
  const pausing = pausedCondition(deployment)
  if (pausing) {
    await objects.updateStatus(nameOf(deployment), (draft) => {
      draft.status = { ...draft.status, conditions: withCondition(draft.status?.conditions ?? [], pausing) }
      return draft
    })
    return null
  }
  if (deployment.spec.paused || isScaling(deployment, sets)) {
    await scale(deployment, sets)
    if (deployment.spec.paused) await sets.trim(isComplete(deployment, deployment.status ?? {}))
    return await writeStatus(objects, deployment, sets, 'counts')
  }
  return deployment.spec.strategy?.type === 'Recreate'
    ? await recreate(objects, deployment, sets)
    : await roll(objects, deployment, sets)
}

/** Whether the Deployment's size changed since its ReplicaSets were sized. */
function isScaling({ spec }: Deployment, sets: DeploymentSets): boolean {
  return sets.all().some((set) => {
    const sizedFor = annotatedNumber(set, DESIRED_REPLICAS)
    return (set.spec.replicas ?? 0) > 0 && sizedFor !== null && sizedFor !== spec.replicas
  })
}

async function scale(deployment: Deployment, sets: DeploymentSets): Promise<void> {
  const bounds = boundsOf(deployment.spec)
  const newSet = sets.findNew()
  const olds = sets.olds().map(toSize)
  const isRolling = deployment.spec.strategy?.type !== 'Recreate'
  const sizes = scaleInProportion(bounds, newSet && toSize(newSet), olds, deployment.status?.replicas ?? 0)
  if (isRolling || sizes.size <= 1) await resizeAll(sets, sizes, { alwaysAnnotate: true })
}

async function roll(objects: ObjectStore, deployment: Deployment, sets: DeploymentSets): Promise<number | null> {
  const bounds = boundsOf(deployment.spec)
  const newSet = await sets.ensureNew()
  if (!newSet) return await writeStatus(objects, sets.latest(), sets, 'rollout')
  const total = sets.all().reduce((sum, { spec }) => sum + (spec.replicas ?? 0), 0)
  const grown = nextNewSize(bounds, newSet.spec.replicas ?? 0, total)
  if (await sets.resize(newSet, grown)) return await writeStatus(objects, sets.latest(), sets, 'rollout')
  const active = sets.olds().filter(({ spec }) => (spec.replicas ?? 0) > 0)
  const shrunk = shrinkOld(bounds, active.map(toSize), toSize(newSet))
  if (!(await resizeAll(sets, shrunk))) await sets.trim(isComplete(sets.latest(), sets.latest().status ?? {}))
  return await writeStatus(objects, sets.latest(), sets, 'rollout')
}

async function recreate(objects: ObjectStore, deployment: Deployment, sets: DeploymentSets): Promise<number | null> {
  const active = sets.olds().filter(({ spec }) => (spec.replicas ?? 0) > 0)
  const emptied = await resizeAll(sets, new Map(active.map(({ metadata }) => [metadata.name, 0])))
  if (emptied || sets.hasOldPods()) return await writeStatus(objects, sets.latest(), sets, 'rollout')
  const newSet = await sets.ensureNew()
  if (newSet) await sets.resize(newSet, deployment.spec.replicas ?? 1)
  await sets.trim(isComplete(sets.latest(), sets.latest().status ?? {}))
  return await writeStatus(objects, sets.latest(), sets, 'rollout')
}

async function resizeAll(
  sets: DeploymentSets,
  sizes: Sizes,
  options: { alwaysAnnotate?: boolean } = {},
): Promise<boolean> {
  let changed = false
  for (const set of sets.all()) {
    const size = sizes.get(set.metadata.name)
    if (size !== undefined) changed = (await sets.resize(set, size, options)) || changed
  }
  return changed
}

async function writeStatus(
  objects: ObjectStore,
  deployment: Deployment,
  sets: DeploymentSets,
  what: 'counts' | 'rollout',
): Promise<number | null> {
  const nowMs = Date.now()
  const newSet = sets.findNew()
  const status =
    what === 'counts'
      ? countStatus(deployment, newSet, sets.all())
      : rolloutStatus(deployment, newSet, sets.all(), nowMs)
  await objects.updateStatus(nameOf(deployment), (draft) => ({ ...draft, status }))
  return what === 'counts' ? null : nextDeadlineCheckMs(deployment, status, nowMs)
}

function toSize(set: ReplicaSet): ScaledSize {
  const { replicas = 0 } = set.spec
  return {
    name: set.metadata.name,
    replicas,
    // A set that was just made smaller may not have said so yet: pods that are about to go do not count.
    available: Math.min(set.status?.availableReplicas ?? 0, replicas),
    created: Date.parse(set.metadata.creationTimestamp ?? ''),
    annotatedDesired: annotatedNumber(set, DESIRED_REPLICAS),
    annotatedMax: annotatedNumber(set, MAX_REPLICAS),
  }
}
