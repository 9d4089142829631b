import type { ContainerSpec, NetworkNamespace, Networks } from '../contract.ts'
import type { PinnedNamespace } from './namespace.ts'
import { type NetworksSettings, openMaker } from './namespace-maker.ts'

/** A namespace that says when it may not be used again. */
export interface LentNamespace extends NetworkNamespace {
  /** What ran in it could change its addresses and rules. */
  spoil(): void
}

/**
 * The networks of one owner. Nothing is made before the first namespace is asked for or kept ready. Disposing removes
 * every namespace and the rules.
 */
export async function openNetworks(settings: NetworksSettings): Promise<Networks & AsyncDisposable> {
  const maker = openMaker(settings)
  const idle: Promise<PinnedNamespace>[] = []
  // One after the other: several at once would only make the first container wait longer.
  const fill = async () => {
    for (let count = 0; count < settings.warm && !maker.closing.aborted; count++) {
      const coming = maker.create('build')
      idle.push(coming)
      await coming
    }
  }
  let filled: Promise<void> | null = null
  const warmUp = () => {
    filled ??= fill().catch((error: unknown) => {
      if (!maker.closing.aborted) settings.log.error({ err: error }, 'networks cannot be kept ready')
    })
  }
  if (!settings.warmsLater) warmUp()
  const takeBack = async (namespace: PinnedNamespace, isSpoilt: boolean) => {
    // An ordinary step cannot change its network, so the next one may have it as it is.
    const isWanted = namespace.kind === 'build' && idle.length < settings.warm && !maker.closing.aborted
    if (isWanted && !isSpoilt) idle.push(Promise.resolve(namespace))
    else await maker.destroy(namespace)
  }
  return {
    warmUp,
    async acquireEgress(signal) {
      signal.throwIfAborted()
      // One that could not be made is tried again, for its error to be the caller's.
      const ready = await idle.shift()?.catch(() => null)
      return lend(ready ?? (await maker.create('build')), takeBack)
    },
    async createPod(signal) {
      signal.throwIfAborted()
      return lend(await maker.create('pod'), takeBack)
    },
    async [Symbol.asyncDispose]() {
      await maker[Symbol.asyncDispose]()
      await filled
    },
  }
}

function lend(
  namespace: PinnedNamespace,
  takeBack: (namespace: PinnedNamespace, isSpoilt: boolean) => Promise<void>,
): LentNamespace {
  let isLent = true
  let isSpoilt = false
  return {
    path: namespace.path,
    address: namespace.address,
    spoil() {
      isSpoilt = true
    },
    async [Symbol.asyncDispose]() {
      if (!isLent) return
      isLent = false
      await takeBack(namespace, isSpoilt)
    },
  }
}

/** Whether a container's network is one of ours that others may get after it. */
export function isLent(network: ContainerSpec['network']): network is LentNamespace {
  return typeof network === 'object' && 'spoil' in network
}
