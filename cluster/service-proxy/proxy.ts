import { setTimeout as sleep } from 'node:timers/promises'
import { run } from '#host/exec'
import type { Logger } from '#host/log'
import { coalesce } from '../coalesce.ts'
import type { ObjectStore } from '../objects.ts'
import { unlessAborted } from '../unless-aborted.ts'
import { claimTable } from './claim-table.ts'
import type { ServiceProxy } from './contract.ts'
import { type Forward, planForwards, type ServiceObjects } from './forwards.ts'
import { allowLoopbackRouting } from './loopback-routing.ts'
import { renderRemoval, renderRules } from './rules.ts'
import { ensureServiceRoute } from './service-route.ts'

export interface ServiceProxyOptions {
  objects: ObjectStore
  log: Logger
  /** Two clusters on one machine have different ones, and leave each other's rules alone. */
  dataDir: string
  serviceCidr: string
}

const RETRY_AFTER_MS = 1000

/** Replaces the rules a dead process left, and keeps them true from now on. */
export async function startServiceProxy(options: ServiceProxyOptions): Promise<ServiceProxy> {
  await using stack = new AsyncDisposableStack()
  const table = stack.use(await claimTable(options.dataDir)).name
  stack.use(await ensureServiceRoute(options.serviceCidr))
  stack.defer(() => loadRules(renderRemoval(table)))
  const rules = keepRules(table, options)
  stack.use(rules)
  for (const kind of ['Service', 'Pod', 'EndpointSlice'] as const)
    stack.use(
      options.objects.watch(kind, (change) =>
        rules.changed(change.type === 'DELETED' ? change.object.metadata.uid : undefined),
      ),
    )
  await rules.current()
  const kept = stack.move()
  return {
    settled: (podUid, signal) => rules.without(podUid, signal),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}

async function loadRules(text: string): Promise<void> {
  await run('nft', ['-f', '-'], { input: text })
}

/** One writer: changes that come while the kernel is told are told together afterwards. */
function keepRules(table: string, { objects, log }: ServiceProxyOptions) {
  const leaving = new Set<string>()
  const stopped = new AbortController()
  let loadedText = ''
  let loaded: readonly Forward[] = []
  const load = async () => {
    const forwards = planForwards(allOf(objects), leaving)
    const text = renderRules(table, forwards)
    if (text === loadedText) return
    await allowLoopbackRouting(podIpsOf(forwards.filter((forward) => forward.nodePort)))
    await loadRules(text)
    loadedText = text
    loaded = forwards
  }
  const rounds = coalesce(async () => {
    while (!stopped.signal.aborted) {
      try {
        return await load()
      } catch (error) {
        log.error({ err: error }, 'rules of the services could not be loaded')
        await sleep(RETRY_AFTER_MS, undefined, { signal: stopped.signal }).catch(() => {})
      }
    }
  })
  return {
    current: () => rounds.request(),
    changed: (deletedUid: string | undefined) => {
      if (deletedUid) leaving.delete(deletedUid)
      void rounds.request()
    },
    without: async (podUid: string, signal: AbortSignal): Promise<readonly number[]> => {
      const ports = new Set(portsOf(loaded, podUid))
      leaving.add(podUid)
      if (ports.size > 0 || rounds.isBusy) await unlessAborted(rounds.request(), signal)
      return [...ports]
    },
    [Symbol.asyncDispose]: async () => {
      stopped.abort()
      await rounds.settle()
    },
  }
}

function allOf(objects: ObjectStore): ServiceObjects {
  return { services: objects.list('Service'), pods: objects.list('Pod'), slices: objects.list('EndpointSlice') }
}

function portsOf(forwards: readonly Forward[], podUid: string): number[] {
  return forwards.flatMap(({ backends }) => backends.filter((one) => one.podUid === podUid).map((one) => one.port))
}

function podIpsOf(forwards: readonly Forward[]): Set<string> {
  return new Set(forwards.flatMap(({ backends }) => backends.map((backend) => backend.ip)))
}
