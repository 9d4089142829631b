import { setTimeout as sleep } from 'node:timers/promises'
import type { PulledImage } from '#buildkit-lite'
import { messageOf, SlipwayError } from '#domain/errors'
import { formatImageReference } from '#domain/image-reference'
import { type ContainerRecord, toRunning, toTerminated, toWaiting } from './container-record.ts'
import { type Instance, StartError, startInstance } from './instance.ts'
import type { PodContext } from './pod-context.ts'
import { pullForPod } from './pull-for-pod.ts'
import { advanceBackoff, backoffDelayMs, formatDelay, shouldRestart } from './restart.ts'
import { watchInstance } from './watch-instance.ts'

const CONFIG_RETRY_MS = 2000

/** Runs a container again and again, as the pod's restart policy has it. Resolves when it will not run again; never rejects for a stop. */
export async function supervise(record: ContainerRecord, pod: PodContext): Promise<void> {
  try {
    for (;;) {
      pod.stopping.throwIfAborted()
      const instance = await pullAndStart(record, pod)
      if (instance) await watchInstance(record, instance, pod)
      const exitCode = record.lastEnding?.exitCode ?? 0
      if (!shouldRestart(restartPolicyOf(record, pod), { kind: 'exited', exitCode }, pod.stopping.aborted)) return
      await waitBackoff(record, pod)
      record.run++
    }
  } catch (error) {
    if (!pod.stopping.aborted) throw error
  }
}

/** Nothing of the image is collected until the container stands on it. */
async function pullAndStart(record: ContainerRecord, pod: PodContext): Promise<Instance | null> {
  await using lease = await pod.on.lease()
  const image = await pullForPod(record, pod)
  return await startUntilConfigured({ record, image, lease }, pod)
}

function restartPolicyOf({ role }: ContainerRecord, { pod }: PodContext): 'Always' | 'OnFailure' | 'Never' {
  const policy = pod.spec.restartPolicy ?? 'Always'
  if (role === 'sidecar') return 'Always'
  return role === 'init' && policy === 'Always' ? 'OnFailure' : policy
}

/** A running instance, or null where the program could not be started, which counts as a run that failed. */
async function startUntilConfigured(
  { record, image, lease }: { record: ContainerRecord; image: PulledImage; lease: AsyncDisposable },
  pod: PodContext,
): Promise<Instance | null> {
  for (;;) {
    try {
      const instance = await start(record, image, pod)
      pod.tell({ type: 'Normal', reason: 'Created', message: `Created container: ${record.container.name}` }, record)
      pod.tell({ type: 'Normal', reason: 'Started', message: `Started container ${record.container.name}` }, record)
      return instance
    } catch (error) {
      if (!(error instanceof StartError)) throw error
      pod.stopping.throwIfAborted()
      pod.tell({ type: 'Warning', reason: 'Failed', message: `Error: ${error.message}` }, record)
      // What waits for long keeps nothing; an image that was collected meanwhile is pulled for the next run.
      await lease[Symbol.asyncDispose]()
      const isCollected = error.cause instanceof SlipwayError && error.cause.kind === 'not-found'
      if (error.stage === 'RunContainerError' || (error.stage === 'CreateContainerError' && isCollected)) {
        failStart(record, error, pod)
        return null
      }
      toWaiting(record, error.stage, error.message)
      pod.publish()
      await sleep(CONFIG_RETRY_MS, undefined, { signal: pod.stopping })
    }
  }
}

async function start(record: ContainerRecord, image: PulledImage, pod: PodContext): Promise<Instance> {
  const { on, network, volumes, hosts } = pod
  const namespace = pod.pod.metadata.namespace ?? ''
  const sources = {
    configMap: (name: string) => on.objects.get('ConfigMap', namespace, name),
    secret: (name: string) => on.objects.get('Secret', namespace, name),
    services: on.objects.list('Service', namespace),
    node: on.node,
    podIp: pod.address,
  }
  const { container, run } = record
  const wish = { pod: pod.pod, container, image, restart: run, network, sources, volumes, hosts }
  const instance = await startInstance(wish, on, pod.killed)
  const { tag: _, ...repository } = image.reference
  const id = formatImageReference({ ...repository, tag: null, digest: image.digest })
  toRunning(record, instance, { name: container.image, id })
  return instance
}

/** https://kubernetes.io/docs/tasks/debug/debug-application/debug-pods/: exit code 128, reason StartError. */
function failStart(record: ContainerRecord, error: StartError, pod: PodContext): void {
  const nowMs = Date.now()
  const ending = { exitCode: 128, reason: 'StartError', message: error.message, startedAtMs: 0, finishedAtMs: nowMs }
  toTerminated(record, ending)
  if (shouldRestart(restartPolicyOf(record, pod), { kind: 'exited', exitCode: 128 }, pod.stopping.aborted))
    toWaiting(record, 'RunContainerError', messageOf(error))
  pod.publish()
}

async function waitBackoff(record: ContainerRecord, pod: PodContext): Promise<void> {
  const endedAtMs = record.lastEnding?.finishedAtMs ?? Date.now()
  const delayMs = backoffDelayMs(record.backoff, endedAtMs)
  if (delayMs > 0) {
    const { metadata } = pod.pod
    const of = `${record.container.name} in pod ${metadata.name}_${metadata.namespace}(${metadata.uid})`
    pod.tell({ type: 'Warning', reason: 'BackOff', message: `Back-off restarting failed container ${of}` }, record)
    const where = `container=${record.container.name} pod=${metadata.name}_${metadata.namespace}(${metadata.uid})`
    toWaiting(record, 'CrashLoopBackOff', `back-off ${formatDelay(delayMs)} restarting failed ${where}`)
    pod.publish()
    await sleep(Math.max(0, endedAtMs + delayMs - Date.now()), undefined, { signal: pod.stopping })
  }
  record.backoff = advanceBackoff(record.backoff, endedAtMs, Date.now())
}
