import { setTimeout as sleep } from 'node:timers/promises'
import { SlipwayError } from '#domain/errors'
import { coalesce } from '../coalesce.ts'
import type { Pod } from '../kinds.ts'
import { type EventNote, referenceTo } from '../objects.ts'
import { type ContainerRecord, toTime } from './container-record.ts'
import type { NodeContext } from './pod-context.ts'
import { composeStatus, type PodFacts } from './pod-status.ts'

const RETRY_AFTER_MS = 1000

/** What the cluster is told of a pod: its status, a write at a time, and Events. */
export class PodReport {
  readonly records: readonly ContainerRecord[]
  readonly startedAtMs = Date.now()
  readonly #pod: Pod
  readonly #on: NodeContext
  readonly #writes = coalesce(() => this.#write())
  #podIp: string | null = null
  #failure: PodFacts['failure'] = null
  #isSilent = false
  #changed = Promise.withResolvers<void>()

  constructor(pod: Pod, on: NodeContext, records: readonly ContainerRecord[]) {
    this.#pod = pod
    this.#on = on
    this.records = records
  }

  publish(): void {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
    void this.#writes.request()
  }

  setAddress(podIp: string): void {
    this.#podIp = podIp
  }

  /** The pod has failed, whatever its containers say. */
  fail(reason: string, message: string): void {
    this.#failure = { reason, message }
    this.tell({ type: 'Normal', reason, message })
    this.publish()
  }

  silence(): void {
    this.#isSilent = true
  }

  tell(note: Omit<EventNote, 'component'>, record?: ContainerRecord): void {
    if (this.#isSilent) return
    const list = record?.role === 'main' ? 'containers' : 'initContainers'
    const fieldPath = record ? { fieldPath: `spec.${list}{${record.container.name}}` } : {}
    this.#on.objects.recordEvent(referenceTo(this.#pod), { ...note, ...fieldPath, component: 'kubelet' })
  }

  /** Resolves when a container has started for good, or will not. */
  async untilStarted(record: ContainerRecord, signal: AbortSignal): Promise<void> {
    const aborted = Promise.withResolvers<void>()
    signal.addEventListener('abort', () => aborted.resolve(), { once: true })
    while (!record.status.started && !signal.aborted) await Promise.race([this.#changed.promise, aborted.promise])
  }

  async settle(): Promise<void> {
    await this.#writes.settle()
  }

  /** Deletes the object, unless somebody else did. */
  async remove(): Promise<void> {
    const { namespace = '', name, uid = '' } = this.#pod.metadata
    try {
      await this.#on.objects.delete({ kind: 'Pod', namespace, name }, { uid, gracePeriodSeconds: 0 })
    } catch (error) {
      if (!isGone(error)) throw error
    }
  }

  /** Tries until it is written: the last word about a pod may have no other to correct it. */
  async #write(): Promise<void> {
    const { namespace = '', name, uid = '' } = this.#pod.metadata
    while (!this.#isSilent) {
      try {
        await this.#on.objects.updateStatus({ kind: 'Pod', namespace, name, uid }, (pod) => ({
          ...pod,
          status: composeStatus(pod, this.#facts(), toTime(Date.now())),
        }))
        return
      } catch (error) {
        if (isGone(error)) return
        this.#on.log.error({ err: error, pod: name }, 'status of a pod could not be written')
        await sleep(RETRY_AFTER_MS)
      }
    }
  }

  #facts(): PodFacts {
    return {
      records: this.records,
      hostIp: this.#on.node.ip,
      podIp: this.#podIp,
      startTime: toTime(this.startedAtMs),
      failure: this.#failure,
    }
  }
}

/** Removed, or another pod has its name by now. */
function isGone(error: unknown): boolean {
  return error instanceof SlipwayError && (error.kind === 'not-found' || error.kind === 'conflict')
}
