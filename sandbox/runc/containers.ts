import { existsSync, readdirSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SlipwayError } from '#domain/errors'
import type { Logger } from '#host/log'
import { openCgroup } from '../cgroups/cgroup.ts'
import type { CgroupHierarchies } from '../cgroups/hierarchies.ts'
import type { Container, ContainerSpec, Containers } from '../contract.ts'
import { isLent } from '../networks/networks.ts'
import type { Scope } from '../scope.ts'
import { type Cell, discard, makeCell } from './cell.ts'
import { ociConfig } from './config.ts'
import { containerOf } from './container.ts'
import { extraHostsText, hostsText, type Resolver } from './name-files.ts'
import { type OwnLimits, readOwnLimits } from './process-config.ts'
import { type RuncProcess, startRunc } from './runc-process.ts'

export interface ContainersSettings {
  scope: Scope
  hierarchies: CgroupHierarchies
  resolver: Resolver
  log: Logger
}

/** Containers of one owner. Disposing kills those that are left and waits until every trace is gone. */
export async function openContainers(settings: ContainersSettings): Promise<Containers & AsyncDisposable> {
  const { scope, hierarchies } = settings
  const ours = await readOwnLimits()
  const running = new Set<Container>()
  const starting = new Set<Promise<unknown>>()
  const endings = new Set<Promise<unknown>>()
  await mkdir(join(scope.runDir, 'runc'), { recursive: true, mode: 0o700 })
  const group = openCgroup(hierarchies, scope.cgroup)
  await group.create()

  let isClosed = false

  const start = async (spec: ContainerSpec, signal: AbortSignal): Promise<Container> => {
    const cell = await makeCell(scope, hierarchies)
    const runc = await startIn(cell, spec, { ...settings, ours }).catch(async (error: unknown) => {
      await discard(cell)
      throw error
    })
    const container = containerOf(runc, cell, spec, { ours, log: settings.log, signal })
    running.add(container)
    void own(endings, container.cleared).finally(() => running.delete(container))
    // Killing a container half made would leave the other half.
    if (!signal.aborted && !isClosed) return container
    await container[Symbol.asyncDispose]()
    throw signal.aborted ? signal.reason : new SlipwayError('cancelled', 'The sandbox was closed')
  }

  return {
    async start(spec, signal) {
      signal.throwIfAborted()
      if (isClosed) throw new SlipwayError('cancelled', 'The sandbox was closed')
      if (spec.security === 'privileged' && isLent(spec.network)) spec.network.spoil()
      return await own(starting, start(spec, signal))
    },
    async [Symbol.asyncDispose]() {
      isClosed = true
      await Promise.allSettled(starting)
      await Promise.all([...running].map((container) => container[Symbol.asyncDispose]()))
      await Promise.all(endings)
      await group.remove()
    },
  }
}

/** Keeps a piece of work in a set until it has ended. */
function own<T>(set: Set<Promise<unknown>>, work: Promise<T>): Promise<T> {
  const owned = work.finally(() => set.delete(owned))
  set.add(owned)
  return owned
}

async function startIn(
  cell: Cell,
  spec: ContainerSpec,
  settings: ContainersSettings & { ours: OwnLimits },
): Promise<RuncProcess> {
  const { scope, hierarchies, resolver, ours } = settings
  const [resolvConf, hosts] = [join(cell.dir, 'resolv.conf'), join(cell.dir, 'hosts')]
  const config = ociConfig(spec, {
    cgroupsPath: `${scope.cgroup}/${cell.id}`,
    ours,
    limitsSwap: countsSwap(hierarchies),
    resolvConf,
    hosts,
  })
  await Promise.all([
    writeFile(resolvConf, spec.network === 'host' ? await readFile('/etc/resolv.conf', 'utf8') : resolver.text),
    writeFile(hosts, await hostsOf(spec)),
    writeFile(join(cell.dir, 'config.json'), JSON.stringify(config)),
  ])
  return startRunc({
    stateDir: cell.stateDir,
    command: ['run', '--keep', '--bundle', cell.dir, cell.id],
    pidFile: join(cell.dir, 'pid'),
    logFile: join(cell.dir, 'log.json'),
    program: spec.args[0] ?? '',
    stdin: 'ignore',
  })
}

async function hostsOf({ network, hostname, extraHosts = [] }: ContainerSpec): Promise<string> {
  const address = typeof network === 'string' ? null : network.address
  const own = network === 'host' ? await readFile('/etc/hosts', 'utf8') : hostsText(hostname, address)
  return own + extraHostsText(extraHosts)
}

/** A kernel without swap accounting refuses the limit, and one without swap does not need it. */
function countsSwap({ version, v1, v2 }: CgroupHierarchies): boolean {
  if (version === 1) return existsSync(join(v1.get('memory') ?? '', 'memory.memsw.limit_in_bytes'))
  // The root group has no limits; any of its children shows what the kernel offers.
  const root = v2 ?? ''
  return readdirSync(root).some((name) => existsSync(join(root, name, 'memory.swap.max')))
}
