import { readFile } from 'node:fs/promises'
import { request as httpRequest, type RequestOptions } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { join } from 'node:path'
import { parse } from 'yaml'
import { z } from 'zod'
import { messageOf } from '#domain/errors'
import type { ApiDeps } from '../deps.ts'

export interface PartState {
  ready: boolean
  reason: string
}

const PROBE_TIMEOUT_MS = 2_000

// The names are kubeconfig's: https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
const Kubeconfig = z.object({ clusters: z.array(z.object({ cluster: z.object({ server: z.string() }) })).min(1) })
const Children = z.array(
  z.object({
    name: z.string(),
    state: z.string(),
    restarts: z.number(),
    lastExit: z.string().nullable(),
    delayMs: z.number().nullish(),
  }),
)

/** What has to work for a push to go live, each part with the reason why it does or does not. */
export async function readiness(deps: ApiDeps): Promise<{ ready: boolean; parts: Record<string, PartState> }> {
  const probes: Record<string, () => Promise<string>> = {
    redis: async () => {
      await withDeadline(deps.store.ping())
      return 'answers'
    },
    registry: () => probeRegistry(deps.config.registryUrl),
    workers: () => seenWorkers(deps),
    cluster: () => probeCluster(deps.config.kubeconfigFile),
  }
  const entries = Object.entries(probes).map(async ([name, probe]) => [name, await stateOf(probe)] as const)
  const parts = { ...Object.fromEntries(await Promise.all(entries)), ...(await childStates(deps.config.dataDir)) }
  return { ready: Object.values(parts).every((part) => part.ready), parts }
}

async function stateOf(probe: () => Promise<string>): Promise<PartState> {
  try {
    return { ready: true, reason: await probe() }
  } catch (error) {
    return { ready: false, reason: messageOf(error) }
  }
}

async function seenWorkers({ store }: ApiDeps): Promise<string> {
  const workers = await withDeadline(store.workers.list())
  if (workers.length === 0) throw new Error('no worker was seen lately')
  const problems = workers.flatMap(({ problem }) => problem ?? [])
  if (problems.length === workers.length) throw new Error(`no worker takes builds: ${problems[0]}`)
  return [`${workers.length} seen`, ...problems.map((problem) => `no builds taken: ${problem}`)].join('; ')
}

async function probeRegistry(registryUrl: string): Promise<string> {
  const socketPath = registryUrl.startsWith('unix:') ? registryUrl.slice('unix:'.length) : null
  const status = socketPath
    ? await answerOf(httpRequest, { socketPath, path: '/v2/' })
    : await answerOfUrl(new URL('/v2/', registryUrl))
  if (status !== 200 && status !== 401) throw new Error(`/v2/ answers ${status}, expected 200 or 401`)
  return 'answers'
}

/** Any answer will do: whether its certificate and our rights are good is the rollouts' matter. */
async function probeCluster(kubeconfigFile: string): Promise<string> {
  const { clusters } = Kubeconfig.parse(parse(await readFile(kubeconfigFile, 'utf8')))
  const server = clusters[0]?.cluster.server ?? ''
  await answerOfUrl(new URL('/readyz', server), { rejectUnauthorized: false })
  return `${server} answers`
}

function answerOfUrl(url: URL, options: { rejectUnauthorized?: boolean } = {}): Promise<number> {
  const { hostname: host, port, pathname: path } = url
  return answerOf(url.protocol === 'https:' ? httpsRequest : httpRequest, { host, port, path, ...options })
}

async function answerOf(request: typeof httpRequest, options: RequestOptions): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  const signal = AbortSignal.timeout(PROBE_TIMEOUT_MS)
  const call = request({ ...options, agent: false, signal }, (response) => {
    response.resume()
    resolve(response.statusCode ?? 0)
  })
  call.once('error', (error) => reject(signal.aborted ? new Error(`no answer in ${PROBE_TIMEOUT_MS} ms`) : error))
  call.end()
  return promise
}

async function withDeadline<T>(work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error(`no answer in ${PROBE_TIMEOUT_MS} ms`)), PROBE_TIMEOUT_MS)
  try {
    return await Promise.race([work, promise])
  } finally {
    clearTimeout(timer)
  }
}

/** The supervisor's children, where there is a supervisor on this machine. */
async function childStates(dataDir: string): Promise<Record<string, PartState>> {
  const text = await readFile(join(dataDir, 'run', 'children.json'), 'utf8').catch(() => null)
  if (text === null) return {}
  const children = Children.safeParse(JSON.parse(text))
  if (!children.success) return { children: { ready: false, reason: 'run/children.json is not readable' } }
  return Object.fromEntries(
    children.data.map(({ name, state, restarts, lastExit, delayMs }) => {
      const wait = delayMs ? ` ${delayMs / 1000} s to start again` : ''
      const history = restarts > 0 ? `, ${restarts} restarts, last: ${lastExit}` : ''
      return [`child ${name}`, { ready: state === 'running', reason: `${state}${wait}${history}` }]
    }),
  )
}
