import type { Probe } from '../pod-kinds.ts'
import { type ContainerRecord, toTerminated, toWaiting } from './container-record.ts'
import type { Instance } from './instance.ts'
import type { PodContext } from './pod-context.ts'
import { runProbe } from './probe.ts'
import { runProbeLoop } from './prober.ts'
import { type Grace, runHook, startGrace, stopInstance } from './stop-instance.ts'

const DEFAULT_GRACE_S = 30

/** Follows a running container to its end: hooks, probes, and stopping it when it is unhealthy or its pod stops. */
export async function watchInstance(record: ContainerRecord, instance: Instance, pod: PodContext): Promise<void> {
  const over = new AbortController()
  const unhealthy = Promise.withResolvers<Verdict>()
  const hooked = afterStart(record, instance, pod, over.signal)
  pod.publish()
  const probing: Promise<void>[] = []
  void hooked.then((failure) =>
    failure
      ? unhealthy.resolve(failure)
      : startProbes(record, instance, { pod, over: over.signal, unhealthy: unhealthy.resolve, probing }),
  )
  const why = await Promise.race([instance.ended, unhealthy.promise, stopAsked(pod, over.signal)])
  over.abort()
  // A probe runs inside the container; it ends before the container does.
  await Promise.all(probing)
  if (why && 'message' in why && 'graceMs' in why) await stopUnhealthy(record, instance, { pod, why })
  else if (why === null) {
    const grace = await pod.readyToStop()
    pod.tell({ type: 'Normal', reason: 'Killing', message: `Stopping container ${record.container.name}` }, record)
    await stop(record, instance, grace, pod)
  }
  toTerminated(record, await instance.ended)
  const hookFailure = await hooked
  if (hookFailure && !pod.stopping.aborted) toWaiting(record, 'PostStartHookError', hookFailure.detail)
  pod.publish()
}

/** Why a container is stopped though its pod goes on; the grace is its own. */
interface Verdict {
  message: string
  detail: string
  graceMs: number
}

async function stopUnhealthy(
  record: ContainerRecord,
  instance: Instance,
  { pod, why }: { pod: PodContext; why: Verdict },
): Promise<void> {
  pod.tell({ type: 'Normal', reason: 'Killing', message: why.message }, record)
  using grace = startGrace(why.graceMs)
  const over = new AbortController()
  // A pod that is deleted meanwhile may have less time than we gave.
  const hurry = async () => grace.shorten((await pod.readyToStop()).leftMs)
  pod.stopping.addEventListener('abort', () => void hurry(), { once: true, signal: over.signal })
  await stop(record, instance, grace, pod)
  over.abort()
}

async function stop(record: ContainerRecord, instance: Instance, grace: Grace, pod: PodContext): Promise<void> {
  const onHookFailure = (message: string) =>
    pod.tell({ type: 'Warning', reason: 'FailedPreStopHook', message: `PreStopHook failed: ${message}` }, record)
  await stopInstance(instance, { container: record.container, grace, onHookFailure })
}

async function stopAsked({ stopping }: PodContext, over: AbortSignal): Promise<null> {
  const { promise, resolve } = Promise.withResolvers<null>()
  if (stopping.aborted) resolve(null)
  stopping.addEventListener('abort', () => resolve(null), { once: true, signal: over })
  return promise
}

/** Null where there is no hook, or it went well. */
async function afterStart(
  record: ContainerRecord,
  instance: Instance,
  pod: PodContext,
  over: AbortSignal,
): Promise<Verdict | null> {
  const hook = record.container.lifecycle?.postStart
  if (!hook) return null
  const outcome = await runHook(hook, instance, { timeoutMs: 24 * 3600 * 1000, signal: over })
  if (outcome.kind !== 'failure') return null
  const detail = hook.exec
    ? `command '${(hook.exec.command ?? []).join(' ')}' failed: ${outcome.message}`
    : outcome.message
  pod.tell({ type: 'Warning', reason: 'FailedPostStartHook', message: `PostStartHook failed: ${detail}` }, record)
  return { message: 'FailedPostStartHook', detail, graceMs: podGraceMs(pod) }
}

interface Watch {
  pod: PodContext
  over: AbortSignal
  unhealthy: (verdict: Verdict) => void
  /** Every loop that was started. */
  probing: Promise<void>[]
}

/** Start-up first; only then liveness and readiness. Without a probe the answer is yes. */
function startProbes(record: ContainerRecord, instance: Instance, watch: Watch): void {
  const { startupProbe, livenessProbe, readinessProbe } = record.container
  const onStarted = () => {
    setFlags(record, watch.pod, { started: true, ready: !readinessProbe })
    if (livenessProbe) loop('Liveness', livenessProbe, { record, instance, watch, onVerdict: () => {} })
    if (!readinessProbe) return
    const onVerdict = (ready: boolean) => setFlags(record, watch.pod, { ready })
    loop('Readiness', readinessProbe, { record, instance, watch, onVerdict })
  }
  if (watch.over.aborted) return
  if (startupProbe) loop('Startup', startupProbe, { record, instance, watch, onVerdict: onStarted })
  else onStarted()
}

function setFlags(record: ContainerRecord, pod: PodContext, flags: { ready?: boolean; started?: boolean }): void {
  record.status = { ...record.status, ...flags }
  pod.publish()
}

interface LoopOf {
  record: ContainerRecord
  instance: Instance
  watch: Watch
  onVerdict: (verdict: boolean) => void
}

function loop(
  kind: 'Startup' | 'Liveness' | 'Readiness',
  probe: Probe,
  { record, instance, watch, onVerdict }: LoopOf,
): void {
  const { name } = record.container
  const kill = () =>
    watch.unhealthy({
      message: `Container ${name} failed ${kind.toLowerCase()} probe, will be restarted`,
      detail: '',
      graceMs: (probe.terminationGracePeriodSeconds ?? podGraceMs(watch.pod) / 1000) * 1000,
    })
  const probing = runProbeLoop(
    {
      probe,
      initially: kind === 'Liveness',
      containerStartedAtMs: instance.startedAtMs,
      hurriesFirst: kind === 'Readiness',
      ask: (signal) => runProbe(probe, instance.target, (probe.timeoutSeconds ?? 1) * 1000, signal),
      onFailure: (message) =>
        watch.pod.tell({ type: 'Warning', reason: 'Unhealthy', message: `${kind} probe failed: ${message}` }, record),
      onVerdict: (verdict) => {
        if (kind !== 'Readiness' && !verdict) kill()
        else onVerdict(verdict)
        return kind === 'Startup' || (kind === 'Liveness' && !verdict)
      },
    },
    watch.over,
  )
  const broken = (error: unknown) => watch.pod.on.log.error({ err: error, container: name }, 'probe loop broke')
  watch.probing.push(probing.catch(broken))
}

function podGraceMs({ pod }: PodContext): number {
  return (pod.spec.terminationGracePeriodSeconds ?? DEFAULT_GRACE_S) * 1000
}
