import type { Container, ContainerState, ContainerStatus } from '../pod-kinds.ts'
import type { Ending, Instance } from './instance.ts'
import type { Backoff } from './restart.ts'

/** What the kubelet knows of one container of a pod. The status is replaced, never edited. */
export interface ContainerRecord {
  readonly container: Container
  /** Init containers run before the others; a sidecar among them stays. */
  readonly role: 'init' | 'sidecar' | 'main'
  status: ContainerStatus
  /** Number of the run that is under way or comes next; the status counts it once it has begun. */
  run: number
  backoff: Backoff | null
  instance: Instance | null
  lastEnding: Ending | null
}

/** A pod that was here before keeps its count of restarts. */
export function newRecord(
  container: Container,
  role: ContainerRecord['role'],
  { before, reason }: { before: ContainerStatus | undefined; reason: string },
): ContainerRecord {
  const status: ContainerStatus = {
    name: container.name,
    image: container.image,
    imageID: '',
    ready: false,
    started: false,
    restartCount: before?.restartCount ?? 0,
    state: { waiting: { reason } },
    lastState: before?.lastState ?? {},
  }
  return { container, role, status, run: status.restartCount, backoff: null, instance: null, lastEnding: null }
}

export function toWaiting(record: ContainerRecord, reason: string, message: string): void {
  const waiting = message ? { reason, message } : { reason }
  record.status = { ...record.status, ready: false, started: false, state: { waiting }, lastState: lastStateOf(record) }
}

export function toRunning(record: ContainerRecord, instance: Instance, image: { name: string; id: string }): void {
  record.instance = instance
  record.status = {
    ...record.status,
    image: image.name,
    imageID: image.id,
    containerID: `slipway://${instance.id}`,
    ready: false,
    started: false,
    restartCount: record.run,
    state: { running: { startedAt: toTime(instance.startedAtMs) } },
    lastState: lastStateOf(record),
  }
}

export function toTerminated(record: ContainerRecord, ending: Ending): void {
  const containerId = record.instance ? { containerID: `slipway://${record.instance.id}` } : {}
  const terminated = {
    exitCode: ending.exitCode,
    reason: ending.reason,
    ...(ending.message ? { message: ending.message } : {}),
    startedAt: toTime(ending.startedAtMs),
    finishedAt: toTime(ending.finishedAtMs),
    ...containerId,
  }
  const isDone = record.role === 'init' && ending.exitCode === 0
  record.status = {
    ...record.status,
    restartCount: record.run,
    ready: isDone,
    started: false,
    state: { terminated },
    lastState: lastStateOf(record),
  }
  record.lastEnding = ending
  record.instance = null
}

export function toTime(atMs: number): string {
  return new Date(atMs).toISOString().replace(/\.\d+Z$/, 'Z')
}

/** What has ended becomes the last state as soon as something else is the present one. */
function lastStateOf({ status }: ContainerRecord): ContainerState {
  return status.state?.terminated ? { terminated: status.state.terminated } : (status.lastState ?? {})
}
