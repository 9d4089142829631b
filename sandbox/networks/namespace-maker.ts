import { run } from '#host/exec'
import type { Logger } from '#host/log'
import type { Sys } from '#host/sys'
import type { Resolver } from '../runc/name-files.ts'
import type { Scope } from '../scope.ts'
import { claimAddresses, type NetworkKind } from './addresses.ts'
import { enableForwarding, readHostNetwork, warnOfForeignDrops } from './host-network.ts'
import { removeNetworkOf } from './leftovers.ts'
import { createNamespace, type NamespaceSettings, type PinnedNamespace, removeNamespaces } from './namespace.ts'
import { removalText, rulesetText } from './ruleset.ts'

export interface NetworksSettings {
  scope: Scope
  resolver: Resolver
  sys: Sys
  log: Logger
  /** Build namespaces kept ready. */
  warm: number
  /** Whether they are made only when `warmUp` is called. */
  warmsLater: boolean
}

/** Makes namespaces and knows all that live. Disposing removes them, the rules and the claim to addresses. */
export interface NamespaceMaker extends AsyncDisposable {
  create(kind: NetworkKind): Promise<PinnedNamespace>
  destroy(namespace: PinnedNamespace): Promise<void>
  /** Aborts when no more are made. */
  readonly closing: AbortSignal
}

export function openMaker(settings: NetworksSettings): NamespaceMaker {
  const closing = new AbortController()
  const alive = new Set<PinnedNamespace>()
  const pending = new Set<Promise<unknown>>()
  let ground: Promise<NamespaceSettings> | null = null
  const laid = () => (ground ??= layGround(settings))
  const own = async <T>(work: Promise<T>): Promise<T> => {
    pending.add(work)
    return await work.finally(() => pending.delete(work))
  }
  const create = async (kind: NetworkKind) => {
    const namespace = await createNamespace(await laid(), kind)
    alive.add(namespace)
    return namespace
  }
  const destroy = async (namespace: PinnedNamespace) => {
    if (alive.delete(namespace)) await removeNamespaces(await laid(), [namespace])
  }
  return {
    closing: closing.signal,
    async create(kind) {
      closing.signal.throwIfAborted()
      return await own(create(kind))
    },
    destroy: (namespace) => own(destroy(namespace)),
    async [Symbol.asyncDispose]() {
      closing.abort(new Error('the sandbox is closing'))
      await Promise.allSettled(pending)
      const made = await ground?.catch(() => null)
      ground = null
      if (!made) return
      await removeNamespaces(made, [...alive])
      alive.clear()
      await run('nft', ['-f', '-'], { input: removalText(settings.scope.nftTable) })
      made.addresses[Symbol.dispose]()
    },
  }
}

/** What every namespace stands on: addresses, rules, forwarding. */
async function layGround({ scope, resolver, sys, log }: NetworksSettings): Promise<NamespaceSettings> {
  const host = await readHostNetwork()
  const addresses = claimAddresses(sys, host.routes, scope)
  try {
    // Also of other data directories, which no reaper of ours looks at.
    if (addresses.previous) await removeNetworkOf(addresses.previous)
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
