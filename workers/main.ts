import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { build, createSharedWork, openBlobStore } from '#buildkit-lite'
import { type Config, readConfig } from '#host/config'
import { makeDataDir } from '#host/data-dir'
import { openLease } from '#host/disk-use'
import { createLogger } from '#host/log'
import { readRegistries } from '#host/registries'
import { aborted, shutdownSignal } from '#host/shutdown'
import { openSys } from '#host/sys'
import { openSandbox, type Sandbox } from '#sandbox'
import type { Store } from '#store/contract'
import { openStore } from '#store/open-store'
import { createCollector } from './collector.ts'
import { createDiskGuard } from './disk-guard.ts'
import { contextOpener } from './git-context.ts'
import { openGitMirrors } from './git-mirror.ts'
import { startHeartbeat } from './heartbeat.ts'
import { takeIdentity } from './identity.ts'
import { MAX_LOSSES, startJanitor } from './janitor.ts'
import { openCluster } from './kubernetes.ts'
import { openLayerSharing } from './layer-sharing.ts'
import { registryOpener } from './open-registry.ts'
import { type BuildDeps, runBuild } from './run-build.ts'
import { runRollout } from './run-rollout.ts'
import { serveQueue } from './serve-queue.ts'
import { serveRollouts } from './serve-rollouts.ts'
import { createStepCache } from './step-cache.ts'

/** New pods that live this long did not crash at their start. */
const SOAK_MS = 1000

const config = readConfig()
const log = createLogger('worker', config.logLevel)
const signal = shutdownSignal(log)

await makeDataDir(config.dataDir)
await using stack = new AsyncDisposableStack()
const store = stack.use(await openStore(config.redisUrl))
// The sandbox's name belongs to one process of this data directory: leftovers of the one before are reaped here.
const sandbox = stack.use(
  await openSandbox({ dataDir: config.dataDir, owner: 'worker', warmNetworks: config.concurrency }, log),
)
const { worker, earlier } = await takeIdentity(config.dataDir)
if (earlier) {
  const builds = await store.builds.reclaimFrom(earlier, Date.now(), MAX_LOSSES)
  await store.rollouts.reclaimFrom(earlier)
  if (builds.length > 0) log.warn({ builds }, 'builds of the worker before were given back')
}
const deps = await openDeps(config, store, sandbox)
const { openRegistry, registryHost } = deps
const { blobs } = deps.tools
const sharing = stack.use(openLayerSharing({ tokens: store.tokens, registryHost, openRegistry, blobs, log }))
const rolloutDeps = { store, openCluster: () => openCluster(config.kubeconfigFile), now: Date.now, soakMs: SOAK_MS }

const collector = createCollector(config, log, signal)
const { dataDir, minFreeBytes } = config
const guard = createDiskGuard({ store, worker, dataDir, minFreeBytes, collect: () => collector.collect(), log })
await guard.check()
stack.use(startJanitor({ store, mirrors: deps.mirrors, guard, collector, log }))
const rollouts = serveRollouts(
  { store, worker, log, runRollout: (rollout, lost) => runRollout(rolloutDeps, rollout, lost) },
  signal,
)
stack.defer(() => rollouts)
const queue = stack.use(
  serveQueue({
    store,
    redisUrl: config.redisUrl,
    worker,
    concurrency: config.concurrency,
    buildTimeoutMs: config.buildTimeoutMs,
    runBuild: (claim, stop) => runBuild({ ...deps, sharing }, claim, stop).finally(() => collector.built()),
    guard,
    log,
  }),
)
const { concurrency: capacity } = config
stack.use(
  await startHeartbeat({
    store,
    worker,
    capacity,
    running: () => queue.running(),
    problem: () => guard.problem(),
    log,
  }),
)
log.info({ worker, capacity }, 'waiting for builds')
await aborted(signal)

async function openDeps(config: Config, store: Store, sandbox: Sandbox): Promise<BuildDeps> {
  const { dataDir } = config
  const checkoutRoot = join(dataDir, 'checkouts')
  const stateDir = join(dataDir, 'build-state')
  // What a killed worker had checked out belongs to no build any more.
  await rm(checkoutRoot, { recursive: true, force: true })
  for (const dir of [checkoutRoot, stateDir]) await mkdir(dir, { recursive: true, mode: 0o700 })
  const { containers, snapshots, networks } = sandbox
  const sharedWork = createSharedWork()
  return {
    store,
    registryHost: config.registryHost,
    mirrors: openGitMirrors(join(dataDir, 'git')),
    openContext: contextOpener({ checkoutRoot, stateDir, sharedWork }),
    build,
    openRegistry: registryOpener(config, await readRegistries(config.registriesFile)),
    tools: {
      containers,
      snapshots,
      networks,
      blobs: await openBlobStore(join(dataDir, 'blobs')),
      cache: createStepCache(store.stepCache),
      stepLeases: store.stepLeases,
      stateDir,
      sharedWork,
      limits: { stepMemoryBytes: config.stepMemoryBytes, stepPids: config.stepPids, stepCpus: null },
    },
    entitlements: config.entitlements,
    buildTimeoutMs: config.buildTimeoutMs,
    lease: () => openLease(openSys(), dataDir),
    now: Date.now,
    log,
  }
}
