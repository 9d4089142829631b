import type { AppsV1Api, CoreV1Api, CoreV1Event, V1Deployment, V1Pod, Watch } from '@kubernetes/client-node'
import { messageOf, SlipwayError } from '#domain/errors'

/** A request that takes longer has met a cluster that is not there. */
const REQUEST_MS = 10_000
/** The pause before a watch that ended is opened again. */
const REOPEN_MS = 500

export type { V1Deployment as Deployment, V1Pod as Pod } from '@kubernetes/client-node'

/** What rollouts need of a Kubernetes API, ours or any other. Errors have kind `unavailable` or `invalid`. */
export interface Cluster {
  /** Null where there is no such Deployment. */
  getDeployment(namespace: string, name: string, signal: AbortSignal): Promise<V1Deployment | null>
  /** A strategic merge patch: lists are merged by name. */
  patchDeployment(namespace: string, name: string, patch: object, signal: AbortSignal): Promise<V1Deployment>
  listPods(namespace: string, labels: Record<string, string>, signal: AbortSignal): Promise<V1Pod[]>
  /** The end of what a container printed in its present or its previous run; null where there is no such log. */
  readLog(of: LogOf, signal: AbortSignal): Promise<string | null>
  /** What the cluster warned of a pod, oldest first. */
  listWarnings(namespace: string, pod: string, signal: AbortSignal): Promise<string[]>
  /** Calls `onChange` whenever the Deployment or one of the pods of its namespace changes, until disposed. */
  watch(namespace: string, name: string, onChange: () => void): Disposable
}

interface LogOf {
  namespace: string
  pod: string
  container: string
  isPrevious: boolean
  tailLines: number
}

/** Reads the kubeconfig; fails with kind `unavailable` where it is not there yet. */
export async function openCluster(kubeconfigFile: string): Promise<Cluster> {
  // The library takes most of a second to load, and a worker that rolls nothing out never needs it.
  const k8s = await import('@kubernetes/client-node')
  const kubeconfig = new k8s.KubeConfig()
  try {
    kubeconfig.loadFromFile(kubeconfigFile)
  } catch (cause) {
    throw new SlipwayError('unavailable', `The kubeconfig ${kubeconfigFile} cannot be read: ${messageOf(cause)}`, {
      cause,
    })
  }
  const apps: AppsV1Api = kubeconfig.makeApiClient(k8s.AppsV1Api)
  const core: CoreV1Api = kubeconfig.makeApiClient(k8s.CoreV1Api)
  // A real server takes the library's default content type for a JSON patch, which is a list.
  const asMerge = k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.StrategicMergePatch)
  return {
    getDeployment: (namespace, name, signal) =>
      ask(`reading Deployment ${namespace}/${name}`, signal, () => apps.readNamespacedDeployment({ namespace, name })),
    async patchDeployment(namespace, name, body, signal) {
      const what = `changing Deployment ${namespace}/${name}`
      signal.throwIfAborted()
      // A change that nobody waits for would happen all the same, perhaps after the next one's.
      const changed = await ask(what, new AbortController().signal, () =>
        apps.patchNamespacedDeployment({ namespace, name, body, fieldManager: 'slipway' }, asMerge),
      )
      signal.throwIfAborted()
      if (changed) return changed
      throw new SlipwayError('invalid', `There is no Deployment ${namespace}/${name}`)
    },
    ...podReaders(core),
    watch(namespace, name, onChange) {
      const fieldSelector = `metadata.name=${name}`
      const path = `/namespaces/${encodeURIComponent(namespace)}`
      const watches = [
        keepWatching(new k8s.Watch(kubeconfig), { path: `/apis/apps/v1${path}/deployments`, fieldSelector }, onChange),
        keepWatching(new k8s.Watch(kubeconfig), { path: `/api/v1${path}/pods` }, onChange),
      ]
      return { [Symbol.dispose]: () => void watches.map((stop) => stop()) }
    },
  }
}

function podReaders(core: CoreV1Api): Pick<Cluster, 'listPods' | 'readLog' | 'listWarnings'> {
  return {
    async listPods(namespace, labels, signal) {
      const labelSelector = Object.entries(labels)
        .map((pair) => pair.join('='))
        .join(',')
      const pods = await ask(`listing pods of ${namespace}`, signal, () =>
        core.listNamespacedPod({ namespace, labelSelector }),
      )
      return pods?.items ?? []
    },
    readLog: ({ namespace, pod: name, container, isPrevious: previous, tailLines }, signal) =>
      ask(`reading the log of pod ${namespace}/${name}`, signal, () =>
        core.readNamespacedPodLog({ namespace, name, container, previous, tailLines }),
      ),
    async listWarnings(namespace, pod, signal) {
      const fieldSelector = `involvedObject.kind=Pod,involvedObject.name=${pod},type=Warning`
      const events = await ask(`listing events of pod ${namespace}/${pod}`, signal, () =>
        core.listNamespacedEvent({ namespace, fieldSelector }),
      )
      const atMs = (event: CoreV1Event) => (event.lastTimestamp ?? event.eventTime)?.getTime() ?? 0
      return (events?.items ?? []).toSorted((a, b) => atMs(a) - atMs(b)).map((event) => event.message ?? '')
    },
  }
}

interface Watched {
  path: string
  fieldSelector?: string
}

/**
 * Watches end whenever they like: after half a minute of silence, when a server restarts, when a version is too old.
 * None of that matters here: an end is one more reason to look, and the watch is opened again.
 */
function keepWatching(
  watch: { watch: Watch['watch'] },
  { path, fieldSelector }: Watched,
  onChange: () => void,
): () => void {
  let isStopped = false
  let request: AbortController | null = null
  let timer: NodeJS.Timeout | null = null
  const open = async () => {
    const onEnd = () => {
      if (isStopped) return
      onChange()
      timer = setTimeout(() => void open(), REOPEN_MS)
    }
    const query = fieldSelector ? { fieldSelector } : {}
    try {
      request = await watch.watch(path, query, onChange, onEnd)
      if (isStopped) request.abort()
    } catch {
      onEnd()
    }
  }
  void open()
  return () => {
    isStopped = true
    if (timer) clearTimeout(timer)
    request?.abort()
  }
}

/** Null for 404; other refusals are `invalid`, and whatever may pass is `unavailable`. */
async function ask<T>(what: string, signal: AbortSignal, request: () => Promise<T>): Promise<T | null> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(REQUEST_MS)])
  const { promise: ended, reject } = Promise.withResolvers<never>()
  const onAbort = () => reject(limit.reason as Error)
  limit.addEventListener('abort', onAbort, { once: true })
  try {
    limit.throwIfAborted()
    return await Promise.race([request(), ended])
  } catch (cause) {
    signal.throwIfAborted()
    const code = (cause as { code?: unknown }).code
    if (code === 404) return null
    const isRefusal = typeof code === 'number' && code >= 400 && code < 500 && code !== 409 && code !== 429
    throw new SlipwayError(isRefusal ? 'invalid' : 'unavailable', `The cluster failed ${what}: ${reasonOf(cause)}`, {
      cause,
    })
  } finally {
    limit.removeEventListener('abort', onAbort)
  }
}

/** A server's refusal is a Status in JSON; a connection's failure hides in causes. */
function reasonOf(error: unknown): string {
  const { body, cause } = error as { body?: unknown; cause?: unknown }
  if (typeof body === 'string' && body.startsWith('{')) {
    const status = JSON.parse(body) as { message?: string }
    if (status.message) return status.message
  }
  return cause instanceof Error ? `${messageOf(error)} (${cause.message})` : messageOf(error)
}
