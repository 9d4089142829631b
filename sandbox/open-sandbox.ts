import type { Logger } from '#host/log'
import { openSys } from '#host/sys'
import { findHierarchies } from './cgroups/hierarchies.ts'
import type { Sandbox, SandboxOptions } from './contract.ts'
import { openNetworks } from './networks/networks.ts'
import { reapDead } from './reap.ts'
import { openContainers } from './runc/containers.ts'
import { findResolver } from './runc/name-files.ts'
import { claimScope } from './scope.ts'
import { openSnapshots } from './snapshots/snapshots.ts'

/**
 * Opens this process's sandbox: claims the owner's name (kind `conflict` if a live process has it), and removes
 * whatever dead processes of this data directory left on the host. Disposing removes everything that was made.
 */
export async function openSandbox(options: SandboxOptions, log: Logger): Promise<Sandbox> {
  const sys = openSys()
  const hierarchies = findHierarchies()
  const resolver = await findResolver()
  if (resolver.isFallback)
    log.warn({ resolvers: resolver.addresses }, 'no usable resolver on this host: asking public ones')
  await using stack = new AsyncDisposableStack()
  const scope = stack.use(await claimScope(options.dataDir, options.owner, sys))
  await reapDead({ scope, hierarchies, sys, log })
  const snapshots = stack.use(await openSnapshots(scope, sys, log))
  const networks = stack.use(
    await openNetworks({
      scope,
      resolver,
      sys,
      log,
      warm: options.warmNetworks,
      warmsLater: options.warmsLater ?? false,
    }),
  )
  const containers = stack.use(await openContainers({ scope, hierarchies, resolver, log }))
  const owned = stack.move()
  return { containers, snapshots, networks, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}
