import { mkdir } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { type BuildTools, createSharedWork, openBlobStore, openFileStepCache, type Registry } from '#buildkit-lite'
import { SlipwayError } from '#domain/errors'
import type { Config } from '#host/config'
import { makeDataDir } from '#host/data-dir'
import { openLease } from '#host/disk-use'
import type { Logger } from '#host/log'
import { openSys } from '#host/sys'
import { openSandbox } from '#sandbox'
import { openRegistry } from './registry-access.ts'

/** The builder with its state below the data directory, without any service. */
export interface Engine extends AsyncDisposable {
  tools: Omit<BuildTools, 'report'>
  registry: Registry
  /** A client that also takes plain HTTP from these registries. */
  registryWith(insecure: readonly string[]): Promise<Registry>
}

export async function openEngine(config: Config, log: Logger): Promise<Engine> {
  checkRights()
  await makeDataDir(config.dataDir)
  const stateDir = builderDir(config.dataDir)
  await mkdir(stateDir, { recursive: true, mode: 0o700 })
  const registry = await openRegistry(config, homedir())
  await using stack = new AsyncDisposableStack()
  stack.use(await openLease(openSys(), config.dataDir))
  const owner = `cli-${process.pid}`
  // What is cached needs no network; one is kept for one RUN after the other.
  const networks = { warmNetworks: 1, warmsLater: true }
  const sandbox = stack.use(await openSandbox({ dataDir: config.dataDir, owner, ...networks }, log))
  const tools = {
    containers: sandbox.containers,
    snapshots: sandbox.snapshots,
    networks: sandbox.networks,
    blobs: await openBlobStore(join(config.dataDir, 'blobs')),
    registry,
    cache: await openFileStepCache(join(stateDir, 'cache')),
    stateDir,
    sharedWork: createSharedWork(),
    // Whoever starts a build at a terminal reaches these places anyway.
    remote: { allowPrivate: true },
    limits: { stepMemoryBytes: config.stepMemoryBytes, stepPids: config.stepPids, stepCpus: null },
    now: () => Date.now(),
  }
  const owned = stack.move()
  const registryWith = (insecure: readonly string[]) => openRegistry(config, homedir(), insecure)
  return { tools, registry, registryWith, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

/** One message instead of the first failed mount. */
function checkRights(): void {
  if (process.getuid?.() === 0) return
  const message = 'Builds need root for mounts, cgroups and containers: run this as root or with sudo'
  throw new SlipwayError('forbidden', message)
}

/** What the builder of the command line keeps between builds. */
export function builderDir(dataDir: string): string {
  return join(dataDir, 'builder')
}
