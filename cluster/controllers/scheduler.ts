import type { Pod } from '../kinds.ts'
import { nameOf, type ObjectStore, referenceTo } from '../objects.ts'
import { withCondition } from './conditions.ts'
import { type ControllerParts, keyOf, splitKey } from './controller.ts'
import { WorkQueue } from './work-queue.ts'

const NAME = 'default-scheduler'

/** Gives pods to the one node there is. */
export function startScheduler({ objects, log }: ControllerParts): AsyncDisposable {
  const queue = new WorkQueue(async (key) => schedule(objects, key), log)
  const addWaiting = (pod: Pod) => {
    if (!pod.spec.nodeName && (pod.spec.schedulerName ?? NAME) === NAME) queue.add(keyOf(pod))
  }
  const watches = [
    objects.watch('Pod', ({ type, object }) => type !== 'DELETED' && addWaiting(object), { replay: true }),
    objects.watch('Node', () => objects.list('Pod').forEach(addWaiting)),
  ]
  return {
    [Symbol.asyncDispose]: async () => {
      for (const watch of watches) watch[Symbol.dispose]()
      await queue[Symbol.asyncDispose]()
    },
  }
}

async function schedule(objects: ObjectStore, key: string): Promise<void> {
  const { namespace, name } = splitKey(key)
  const pod = objects.get('Pod', namespace, name)
  const node = objects.list('Node').find(({ spec }) => !spec?.unschedulable)
  if (!pod || !node || pod.spec.nodeName || pod.metadata.deletionTimestamp) return
  await objects.update(nameOf(pod), (draft) => ({ ...draft, spec: { ...draft.spec, nodeName: node.metadata.name } }))
  await objects.updateStatus(nameOf(pod), (draft) => {
    const conditions = withCondition(draft.status?.conditions ?? [], { type: 'PodScheduled', status: 'True' })
    return { ...draft, status: { ...draft.status, conditions } }
  })
  const message = `Successfully assigned ${namespace}/${name} to ${node.metadata.name}`
  objects.recordEvent(referenceTo(pod), { type: 'Normal', reason: 'Scheduled', message, component: NAME })
}
