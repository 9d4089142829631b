import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { SlipwayError } from '#domain/errors'
import { run } from '#host/exec'
import { createLogger } from '#host/log'
import { openClusterObjects } from '#store/cluster-objects'
import type { PodLogs, PodSessions } from '../../cluster/contract.ts'
import { startControllers } from '../../cluster/controllers/start-controllers.ts'
import type { Pod } from '../../cluster/kinds.ts'
import { timestamp } from '../../cluster/object-meta.ts'
import { nameOf, type ObjectStore } from '../../cluster/objects.ts'
import { type OpenObjects, openObjects } from '../../cluster/open-objects.ts'
import { writeKubeconfig } from '../../cluster/server/kubeconfig.ts'
import { openIdentity } from '../../cluster/server/pki.ts'
import { startServer } from '../../cluster/server/server.ts'
import { ServiceAddresses } from '../../cluster/server/service-addresses.ts'
import { startRedis } from './redis.ts'

export interface TestCluster extends AsyncDisposable {
  url: string
  directory: string
  kubeconfig: string
  token: string
  caPem: string
  objects: OpenObjects
  nodes: PretendNode
  /** Runs kubectl with a home directory of its own. */
  kubectl(
    args: string[],
    options?: { input?: string; okCodes?: number[] },
  ): Promise<{ code: number; stdout: string; stderr: string }>
}

/** The real server and controllers over a real Redis; the node only pretends to run pods. */
export async function startCluster(options: { url?: string } = {}): Promise<TestCluster> {
  await using stack = new AsyncDisposableStack()
  const directory = await mkdtemp(join(tmpdir(), 'slip-cluster-'))
  stack.defer(async () => rm(directory, { recursive: true, force: true }))
  const url = options.url ?? stack.use(await startRedis()).url
  const log = createLogger('cluster', process.env['TEST_LOG'] ?? 'silent')
  const objects = stack.use(await openObjects(await openClusterObjects(url)))
  const nodes = stack.use(new PretendNode(objects))
  await nodes.register()
  stack.use(await startControllers({ objects, log }))
  const identity = await openIdentity(directory, '127.0.0.1')
  const addresses = new ServiceAddresses(objects, '10.96.0.0/16')
  const server = stack.use(
    await startServer({
      objects,
      addresses,
      logs: pretendLogs,
      sessions: noSessions,
      identity,
      host: '127.0.0.1',
      port: 0,
      log,
    }),
  )
  const kubeconfig = join(directory, 'kubeconfig')
  await writeKubeconfig(kubeconfig, server.url, identity)
  const scope = stack.move()
  return {
    url: server.url,
    directory,
    kubeconfig,
    token: identity.token,
    caPem: identity.caPem,
    objects,
    nodes,
    kubectl: async (args, { input, okCodes = [0] } = {}) => {
      const env = { PATH: process.env['PATH'] ?? '', HOME: directory, KUBECONFIG: kubeconfig }
      const given = input === undefined ? {} : { input }
      const result = await run('kubectl', args, { env, okCodes: okCodes.length > 0 ? okCodes : [0], ...given })
      return { code: result.code, stdout: result.stdout.toString(), stderr: result.stderr }
    },
    [Symbol.asyncDispose]: async () => scope.disposeAsync(),
  }
}

/** Marks pods as a kubelet would: running and ready once assigned, gone once asked to stop. */
class PretendNode implements AsyncDisposable {
  readonly #objects: ObjectStore
  readonly #watching: Disposable
  readonly #work = new Set<Promise<void>>()
  #address = 0
  /** Names of pods that are left as they are. */
  readonly ignores = new Set<string>()
  /** Whether a pod becomes ready. */
  becomesReady: (pod: Pod) => boolean = () => true
  /** How long a pod takes to become ready. */
  readyAfterMs = 0
  readonly #seenAtMs = new Map<string, number>()

  constructor(objects: ObjectStore) {
    this.#objects = objects
    this.#watching = objects.watch('Pod', ({ type, object }) => {
      if (type === 'DELETED' || this.ignores.has(object.metadata.name)) return
      const work = object.spec.nodeName ? this.#serve(object) : this.#bind(object)
      this.#work.add(work.catch(() => {}))
    })
  }

  async register(): Promise<void> {
    if (this.#objects.get('Node', '', 'pretend')) return
    const conditions = [{ type: 'Ready', status: 'True' as const }]
    await this.#objects.create({
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: 'pretend' },
      status: { conditions },
    })
  }

  /** Looks again at pods that were not ready, or that an earlier process left. */
  async refresh(): Promise<void> {
    for (const pod of this.#objects.list('Pod')) await (pod.spec.nodeName ? this.#serve(pod) : this.#bind(pod))
  }

  async #bind(pod: Pod): Promise<void> {
    await this.#objects.update(nameOf(pod), (draft) => ({ ...draft, spec: { ...draft.spec, nodeName: 'pretend' } }))
  }

  async #serve(pod: Pod): Promise<void> {
    if (pod.metadata.deletionTimestamp) {
      await this.#objects.delete(nameOf(pod), { gracePeriodSeconds: 0 })
      return
    }
    const isReady = this.becomesReady(pod) && this.#isOldEnough(pod)
    if (
      pod.status?.podIP &&
      pod.status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === isReady
    )
      return
    this.#address += 1
    const ip = pod.status?.podIP ?? `10.88.0.${this.#address}`
    await this.#objects.updateStatus(nameOf(pod), (draft) => {
      const others = (draft.status?.conditions ?? []).filter(({ type }) => type !== 'Ready')
      const ready = {
        type: 'Ready',
        status: isReady ? ('True' as const) : ('False' as const),
        lastTransitionTime: timestamp(),
      }
      const containerStatuses = draft.spec.containers.map(({ name, image }) => ({
        name,
        image,
        imageID: '',
        ready: isReady,
        restartCount: 0,
        state: { running: { startedAt: timestamp() } },
      }))
      draft.status = {
        ...draft.status,
        phase: 'Running',
        podIP: ip,
        podIPs: [{ ip }],
        containerStatuses,
        conditions: [...others, ready],
      }
      return draft
    })
  }

  #isOldEnough(pod: Pod): boolean {
    const { namespace = '', name, uid = '' } = pod.metadata
    const seenAtMs = this.#seenAtMs.get(uid)
    if (seenAtMs !== undefined) return Date.now() - seenAtMs >= this.readyAfterMs
    this.#seenAtMs.set(uid, Date.now())
    if (this.readyAfterMs === 0) return true
    const later = async () => {
      await sleep(this.readyAfterMs + 1)
      const now = this.#objects.get('Pod', namespace, name)
      if (now?.metadata.uid === uid) await this.#serve(now)
    }
    this.#work.add(later().catch(() => {}))
    return false
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#watching[Symbol.dispose]()
    await Promise.all(this.#work)
  }
}

const pretendLogs: PodLogs = {
  async *read(pod, { container, follow }, signal) {
    yield Buffer.from(`${pod.metadata.name} ${container} line 1\n`)
    if (!follow) return
    const { promise, resolve } = Promise.withResolvers<void>()
    signal.addEventListener('abort', () => resolve(), { once: true })
    await promise
  },
}

/** There is nothing to run anything in; the real ones are tested with a real kubelet. */
const noSessions: PodSessions = {
  exec: async () => {
    throw new SlipwayError('not-found', 'container not found ("web")')
  },
  attach: () => {
    throw new SlipwayError('not-found', 'container not found ("web")')
  },
  connect: async () => {
    throw new SlipwayError('conflict', 'unable to forward port because pod is not running')
  },
}
