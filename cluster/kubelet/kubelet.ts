import { mkdir, readdir, rm } from 'node:fs/promises'
import { availableParallelism, totalmem } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Kubelet } from '../contract.ts'
import type { Pod } from '../kinds.ts'
import { nameOf, type ObjectChange, referenceTo } from '../objects.ts'
import type { KubeletDeps } from './contract.ts'
import { keepImages } from './images.ts'
import type { OpenLogs } from './log-files.ts'
import { readLogs } from './log-reader.ts'
import { registerNode } from './node.ts'
import type { NodeContext } from './pod-context.ts'
import { type PodWorker, startPod } from './pod-worker.ts'
import { openSessions } from './sessions.ts'

/** What pods have together when the whole cluster stops. */
const STOP_GRACE_MS = 4500
/** A pod removed by force still gets the chance to hear of it. */
const FORCED_GRACE_MS = 1000
const RETRY_AFTER_MS = 1000

/** Registers the node and runs every pod of the cluster on it, until disposed; pod objects then stay for the next start. */
export async function startKubelet(deps: KubeletDeps): Promise<Kubelet> {
  const stopping = new AbortController()
  const podsDir = join(deps.dataDir, 'pods')
  const openLogs: OpenLogs = new Map()
  const node = {
    name: deps.nodeName,
    ip: deps.nodeIp,
    capacity: { cpus: availableParallelism(), memoryBytes: totalmem() },
  }
  const on: NodeContext = {
    ...deps,
    images: keepImages({ ...deps, snapshots: deps.sandbox.snapshots }, stopping.signal),
    openLogs,
    podsDir,
    node,
  }
  await mkdir(podsDir, { recursive: true, mode: 0o711 })
  await removeOrphans(on)
  await registerNode(deps.objects, deps, deps.log)
  const pods = keepPods(on)
  using watches = new DisposableStack()
  watches.use(deps.objects.watch('Pod', (change) => pods.changed(change), { replay: true }))
  for (const kind of ['ConfigMap', 'Secret'] as const)
    watches.use(deps.objects.watch(kind, (change) => pods.refresh(change.object.metadata.namespace ?? '')))
  const watching = watches.move()
  return {
    logs: readLogs(podsDir, openLogs),
    sessions: openSessions((uid, container) => pods.instanceOf(uid, container)),
    [Symbol.asyncDispose]: async () => {
      watching.dispose()
      await pods.stopAll()
      stopping.abort(new Error('the kubelet stops'))
    },
  }
}

/** What pods that went while nobody watched have left on disk. */
async function removeOrphans({ objects, podsDir }: NodeContext): Promise<void> {
  const known = new Set(objects.list('Pod').map((pod) => pod.metadata.uid))
  for (const uid of await readdir(podsDir))
    if (!known.has(uid)) await rm(join(podsDir, uid), { recursive: true, force: true })
}

function keepPods(on: NodeContext) {
  const workers = new Map<string, PodWorker>()
  const binding = new Set<string>()
  const stopping = new AbortController()

  const start = (pod: Pod, uid: string) => {
    const worker = startPod(pod, on)
    workers.set(uid, worker)
    if (pod.metadata.deletionTimestamp) worker.changed(pod)
    void worker.done.then(() => workers.delete(uid))
  }
  const bindOnce = (pod: Pod, uid: string) => {
    if (binding.has(uid)) return
    binding.add(uid)
    void bind(pod, on, stopping.signal).finally(() => binding.delete(uid))
  }
  const put = (pod: Pod) => {
    const { uid = '' } = pod.metadata
    const worker = workers.get(uid)
    if (worker) return worker.changed(pod)
    if (pod.spec.nodeName !== on.nodeName) return bindOnce(pod, uid)
    if (!isOver(pod)) start(pod, uid)
    else if (pod.metadata.deletionTimestamp) void remove(pod, on)
  }
  return {
    changed: ({ type, object }: ObjectChange<'Pod'>) => {
      if (stopping.signal.aborted) return
      if (type === 'DELETED') workers.get(object.metadata.uid ?? '')?.stop(FORCED_GRACE_MS)
      else put(object)
    },
    refresh: (namespace: string) => {
      for (const worker of workers.values()) worker.refresh(namespace)
    },
    instanceOf: (uid: string, container: string) => workers.get(uid)?.instanceOf(container) ?? null,
    stopAll: async () => {
      stopping.abort()
      const all = [...workers.values()]
      for (const worker of all) worker.stop(STOP_GRACE_MS)
      await Promise.all(all.map((worker) => worker.done))
    },
  }
}

function isOver({ status }: Pod): boolean {
  return status?.phase === 'Succeeded' || status?.phase === 'Failed'
}

/**
 * There is one node, so scheduling is easy. Pods of a node of another name are of the time before this machine was
 * renamed.
 */
async function bind(pod: Pod, { objects, nodeName, log }: NodeContext, stopping: AbortSignal): Promise<void> {
  const ref = { ...nameOf(pod), uid: pod.metadata.uid ?? '' }
  const message = `Successfully assigned ${ref.namespace}/${ref.name} to ${nodeName}`
  while (!stopping.aborted && objects.get('Pod', ref.namespace, ref.name)?.metadata.uid === ref.uid) {
    try {
      await objects.update(ref, (draft) => ({ ...draft, spec: { ...draft.spec, nodeName } }))
      const about = referenceTo(pod)
      return objects.recordEvent(about, {
        type: 'Normal',
        reason: 'Scheduled',
        message,
        component: 'default-scheduler',
      })
    } catch (error) {
      log.error({ err: error, pod: ref.name }, 'pod could not be bound')
      await sleep(RETRY_AFTER_MS, undefined, { signal: stopping }).catch(() => {})
    }
  }
}

/** A finished pod has nothing left to stop. */
async function remove(pod: Pod, { objects, log, podsDir }: NodeContext): Promise<void> {
  try {
    await objects.delete(nameOf(pod), { uid: pod.metadata.uid ?? '', gracePeriodSeconds: 0 })
  } catch (error) {
    log.warn({ err: error, pod: pod.metadata.name }, 'finished pod could not be removed')
  }
  await rm(join(podsDir, pod.metadata.uid ?? ''), { recursive: true, force: true })
}
