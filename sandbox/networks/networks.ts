import { run } from '#host/exec'
import type { Logger } from '#host/log'
import type { Sys } from '#host/sys'
import type { NetworkNamespace, Networks } from '../contract.ts'
import type { Resolver } from '../runc/name-files.ts'
import type { Scope } from '../scope.ts'
import { claimAddresses, type NetworkKind } from './addresses.ts'
import { enableForwarding, readHostNetwork, warnOfForeignDrops } from './host-network.ts'
import { createNamespace, type NamespaceSettings, type PinnedNamespace, removeNamespaces } from './namespace.ts'
import { removalText, rulesetText } from './ruleset.ts'

export interface NetworksSettings {
  scope: Scope
  resolver: Resolver
  sys: Sys
  log: Logger
  /** Build namespaces kept ready. */
  warm: number
}

/**
 * The networks of one owner. Nothing is made before the first namespace is asked for or kept ready. Disposing removes
 * every namespace and the rules.
 */
export async function openNetworks(settings: NetworksSettings): Promise<Networks & AsyncDisposable> {
  const { log, warm } = settings
  let ground: Promise<Ground> | null = null
  const prepared = () => (ground ??= layGround(settings))
  const idle: PinnedNamespace[] = []
  const alive = new Set<PinnedNamespace>()
  const pending = new Set<Promise<unknown>>()
  let closed = false

  const own = async <T>(work: Promise<T>): Promise<T> => {
    pending.add(work)
    return await work.finally(() => pending.delete(work))
  }
  const create = async (kind: NetworkKind): Promise<PinnedNamespace> => {
    const namespace = await createNamespace(await prepared(), kind)
    alive.add(namespace)
    return namespace
  }
  const destroy = async (namespace: PinnedNamespace) => {
    if (!alive.delete(namespace)) return
    await removeNamespaces(await prepared(), [namespace])
  }
  const lend = (namespace: PinnedNamespace): NetworkNamespace => {
    let lent = true
    return {
      path: namespace.path,
      address: namespace.address,
      async [Symbol.asyncDispose]() {
        if (!lent) return
        lent = false
        // A step cannot change its network, so the next one may have it as it is.
        if (!closed && namespace.kind === 'build' && idle.length < warm) idle.push(namespace)
        else await own(destroy(namespace))
      },
    }
  }
  const fill = async () => {
    for (let count = 0; count < warm && !closed; count++) idle.push(await create('build'))
  }
  if (warm > 0) own(fill()).catch((error: unknown) => log.error({ error }, 'networks cannot be kept ready'))

  return {
    async acquireEgress(signal) {
      signal.throwIfAborted()
      return lend(idle.pop() ?? (await own(create('build'))))
    },
    async createPod(signal) {
      signal.throwIfAborted()
      return lend(await own(create('pod')))
    },
    async [Symbol.asyncDispose]() {
      closed = true
      await Promise.allSettled(pending)
      const laid = await ground?.catch(() => null)
      ground = null
      if (!laid) return
      await removeNamespaces(laid, [...alive])
      alive.clear()
      await run('nft', ['-f', '-'], { input: removalText(settings.scope.nftTable) })
      laid.addresses[Symbol.dispose]()
    },
  }
}

type Ground = NamespaceSettings

/** What every namespace stands on: addresses, rules, forwarding. */
async function layGround({ scope, resolver, sys, log }: NetworksSettings): Promise<Ground> {
  const host = await readHostNetwork()
  const addresses = claimAddresses(sys, host.routes)
  try {
    const ruleset = rulesetText({
      table: scope.nftTable,
      linkPrefix: scope.linkPrefix,
      resolvers: resolver.addresses,
      onLink: host.onLink,
      podNetwork: addresses.podNetwork,
    })
    await run('nft', ['-f', '-'], { input: ruleset })
    await enableForwarding(log)
    await warnOfForeignDrops(log)
    return { scope, addresses, mtu: host.mtu, sys }
  } catch (error) {
    addresses[Symbol.dispose]()
    throw error
  }
}
