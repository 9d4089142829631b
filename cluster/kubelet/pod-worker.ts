import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '#domain/errors'
import type { Pod } from '../kinds.ts'
import { type ContainerRecord, newRecord } from './container-record.ts'
import { drainConnections } from './drain.ts'
import type { Instance } from './instance.ts'
import type { NodeContext, PodContext } from './pod-context.ts'
import { PodReport } from './pod-report.ts'
import { type Grace, startGrace } from './stop-instance.ts'
import { supervise } from './supervise.ts'
import { prepareVolumes, writeHostsFile } from './volumes.ts'

/** One pod's life on this node. */
export interface PodWorker {
  /** The object has changed. */
  changed(pod: Pod): void
  /** The object is gone, or the kubelet stops: containers end within this time. */
  stop(graceMs: number): void
  /** A ConfigMap or Secret of this namespace has changed. */
  refresh(namespace: string): void
  /** The run of a container that is under way. */
  instanceOf(container: string): Instance | null
  /** When nothing of the pod is left on the host. Never rejects. */
  readonly done: Promise<void>
}

const RETRY_AFTER_MS = 2000
const DEFAULT_GRACE_S = 30
/** Open connections may delay the end of a pod for so long, within half of its grace. */
const MOST_DRAIN_MS = 5000

/** Starts a pod's containers and keeps them as its object says, until the object goes. */
export function startPod(pod: Pod, on: NodeContext): PodWorker {
  return new Worker(pod, on)
}

class Worker implements PodWorker {
  readonly done: Promise<void>
  readonly #on: NodeContext
  readonly #podDir: string
  readonly #report: PodReport
  readonly #stopping = new AbortController()
  readonly #sidecarsStopping = new AbortController()
  readonly #killed = new AbortController()
  #pod: Pod
  #grace: Grace | null = null
  #readyToStop: Promise<void> | null = null
  /** Once the object is gone, or will stay for the next start, there is nobody to report to. */
  #isReporting = true
  #refresh: () => Promise<void> = async () => {}

  constructor(pod: Pod, on: NodeContext) {
    this.#pod = pod
    this.#on = on
    this.#podDir = join(on.podsDir, pod.metadata.uid ?? '')
    this.#report = new PodReport(pod, on, recordsOf(pod))
    this.done = this.#live()
  }

  changed(pod: Pod): void {
    this.#pod = pod
    if (!pod.metadata.deletionTimestamp) return
    this.#end((pod.metadata.deletionGracePeriodSeconds ?? DEFAULT_GRACE_S) * 1000)
  }

  stop(graceMs: number): void {
    this.#isReporting = false
    this.#report.silence()
    this.#end(graceMs)
  }

  refresh(namespace: string): void {
    if (namespace !== this.#pod.metadata.namespace) return
    this.#refresh().catch((error: unknown) => this.#report.tell(mountNote(error)))
  }

  instanceOf(container: string): Instance | null {
    return this.#report.records.find((record) => record.container.name === container)?.instance ?? null
  }

  #end(graceMs: number): void {
    if (this.#grace) return this.#grace.shorten(graceMs)
    this.#grace = startGrace(graceMs)
    this.#stopping.abort(new Error('the pod stops'))
  }

  async #live(): Promise<void> {
    await this.#untilDone('pod could not be run', async () => {
      try {
        await this.#run()
      } catch (error) {
        if (!this.#stopping.signal.aborted) throw error
      }
    })
    this.#killed.abort(new Error('the pod is over'))
    this.#grace?.[Symbol.dispose]()
    await this.#untilDone('pod could not be removed', () => this.#leave())
  }

  /** What fails here is our own fault or Redis's; it may work later, and giving up would leave the pod as it is for good. */
  async #untilDone(what: string, work: () => Promise<void>): Promise<void> {
    for (;;)
      try {
        return await work()
      } catch (error) {
        this.#on.log.error({ err: error, pod: this.#pod.metadata.name }, what)
        if (!this.#isReporting) return
        await sleep(RETRY_AFTER_MS)
      }
  }

  /** Sets up, runs everything in its order, and tears down. */
  async #run(): Promise<void> {
    await using stack = new AsyncDisposableStack()
    this.#report.publish()
    const context = await this.#setUp(stack)
    const { records } = this.#report
    const deadline = this.#watchDeadline()
    stack.defer(() => clearTimeout(deadline))
    const sidecars: Promise<void>[] = []
    for (const record of records.filter((candidate) => candidate.role !== 'main')) {
      if (record.role === 'sidecar') sidecars.push(this.#startSidecar(record, context))
      else await supervise(record, context)
      if (record.role === 'sidecar') await this.#report.untilStarted(record, this.#stopping.signal)
      else if (record.lastEnding?.exitCode !== 0) break
    }
    const isReady = records.every((record) => record.role !== 'init' || record.lastEnding?.exitCode === 0)
    const main = records.filter((record) => record.role === 'main')
    if (isReady) await Promise.all(main.map((record) => supervise(record, context)))
    this.#sidecarsStopping.abort(new Error('the pod’s containers have ended'))
    await Promise.all(sidecars)
    this.#report.publish()
    // The address may be another pod's as soon as the network is gone.
    await this.#report.settle()
  }

  async #startSidecar(record: ContainerRecord, context: PodContext): Promise<void> {
    await supervise(record, { ...context, pod: this.#pod, stopping: this.#sidecarsStopping.signal })
  }

  async #setUp(stack: AsyncDisposableStack): Promise<PodContext> {
    const { signal } = this.#stopping
    await mkdir(this.#podDir, { recursive: true, mode: 0o755 })
    const volumes = await this.#retry(
      () => prepareVolumes(this.#podDir, this.#pod, this.#on.objects),
      (error) => mountNote(error),
    )
    this.#refresh = () => volumes.refresh()
    const network = this.#pod.spec.hostNetwork
      ? 'host'
      : stack.use(await this.#retry(() => this.#on.sandbox.networks.createPod(signal), networkNote))
    const address = network === 'host' ? this.#on.node.ip : (network.address ?? '')
    this.#report.setAddress(address)
    const hosts = await writeHostsFile(this.#podDir, this.#pod, address)
    const podNow = () => this.#pod
    return {
      on: this.#on,
      get pod() {
        return podNow()
      },
      podDir: this.#podDir,
      network,
      address,
      volumes,
      hosts,
      stopping: signal,
      killed: this.#killed.signal,
      readyToStop: () => this.#whenReadyToStop(),
      publish: () => this.#report.publish(),
      tell: (note, record) => this.#report.tell(note, record),
    }
  }

  async #retry<T>(work: () => Promise<T>, noteOf: (error: unknown) => Parameters<PodReport['tell']>[0]): Promise<T> {
    const { signal } = this.#stopping
    for (;;) {
      signal.throwIfAborted()
      try {
        return await work()
      } catch (error) {
        signal.throwIfAborted()
        this.#report.tell(noteOf(error))
        await sleep(RETRY_AFTER_MS, undefined, { signal })
      }
    }
  }

  /** Once for all containers: no rule leads here any more, and connections have ended or had their time. */
  async #whenReadyToStop(): Promise<Grace> {
    const grace = (this.#grace ??= startGrace(DEFAULT_GRACE_S * 1000))
    this.#readyToStop ??= this.#retire(grace)
    await this.#readyToStop
    return grace
  }

  async #retire(grace: Grace): Promise<void> {
    if (!this.#isReporting || grace.leftMs < 1000) return
    try {
      const ports = new Set(await this.#on.proxy.settled(this.#pod.metadata.uid ?? '', grace.expired))
      const running = this.#report.records.find((record) => record.instance)?.instance
      const mostMs = Math.min(MOST_DRAIN_MS, grace.leftMs / 2)
      if (running && ports.size > 0) await drainConnections(running.pid, ports, mostMs, grace.expired)
    } catch (error) {
      if (!grace.expired.aborted) this.#on.log.error({ err: error }, 'connections of a pod could not be drained')
    }
  }

  #watchDeadline(): NodeJS.Timeout | undefined {
    const { activeDeadlineSeconds, terminationGracePeriodSeconds } = this.#pod.spec
    if (!activeDeadlineSeconds) return undefined
    const message = 'Pod was active on the node longer than the specified deadline'
    const leftMs = this.#report.startedAtMs + activeDeadlineSeconds * 1000 - Date.now()
    return setTimeout(
      () => {
        this.#report.fail('DeadlineExceeded', message)
        this.#end((terminationGracePeriodSeconds ?? DEFAULT_GRACE_S) * 1000)
      },
      Math.min(Math.max(0, leftMs), 2 ** 31 - 1),
    )
  }

  /** A deleted pod's object goes when its containers are dead. */
  async #leave(): Promise<void> {
    await this.#report.settle()
    const { metadata } = this.#pod
    if (this.#isReporting && !metadata.deletionTimestamp) return
    if (this.#isReporting) await this.#report.remove()
    const isGone = this.#on.objects.get('Pod', metadata.namespace ?? '', metadata.name)?.metadata.uid !== metadata.uid
    if (isGone) await rm(this.#podDir, { recursive: true, force: true })
  }
}

function recordsOf(pod: Pod): ContainerRecord[] {
  const { initContainers = [], containers } = pod.spec
  const reason = initContainers.length > 0 ? 'PodInitializing' : 'ContainerCreating'
  const { initContainerStatuses = [], containerStatuses = [] } = pod.status ?? {}
  const beforeOf = (name: string) => [...initContainerStatuses, ...containerStatuses].find((one) => one.name === name)
  return [
    ...initContainers.map((container) => {
      const role = container.restartPolicy === 'Always' ? 'sidecar' : 'init'
      return newRecord(container, role, { before: beforeOf(container.name), reason })
    }),
    ...containers.map((container) => newRecord(container, 'main', { before: beforeOf(container.name), reason })),
  ]
}

function mountNote(error: unknown) {
  return { type: 'Warning', reason: 'FailedMount', message: `MountVolume.SetUp failed: ${messageOf(error)}` } as const
}

function networkNote(error: unknown) {
  const message = `Failed to create pod sandbox: ${messageOf(error)}`
  return { type: 'Warning', reason: 'FailedCreatePodSandBox', message } as const
}
