import { mkdir, readFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { hostPlatform, openBlobStore } from '#buildkit-lite'
import { readConfig } from '#host/config'
import { makeDataDir } from '#host/data-dir'
import { openLease } from '#host/disk-use'
import { createLogger } from '#host/log'
import { readRegistries } from '#host/registries'
import { aborted, shutdownSignal } from '#host/shutdown'
import { openSys } from '#host/sys'
import { openSandbox } from '#sandbox'
import { openClusterObjects } from '#store/cluster-objects'
import { openStore } from '#store/open-store'
import { startControllers } from './controllers/start-controllers.ts'
import { startKubelet } from './kubelet/kubelet.ts'
import { openObjects } from './open-objects.ts'
import { openRegistry } from './open-registry.ts'
import { writeKubeconfig } from './server/kubeconfig.ts'
import { openIdentity, openToken } from './server/pki.ts'
import { startServer } from './server/server.ts'
import { ServiceAddresses } from './server/service-addresses.ts'
import { chooseServiceCidr, hostAddress } from './service-cidr.ts'
import { parseRoutes } from './service-proxy/loopback-routing.ts'
import { startServiceProxy } from './service-proxy/proxy.ts'

/** The one address the API answers at; who wants it elsewhere uses a real cluster. */
const HOST = '127.0.0.1'
const OWNER = 'cluster'

const config = readConfig()
const log = createLogger('cluster', config.logLevel)
const signal = shutdownSignal(log)

const { dataDir } = config
const stateDir = join(dataDir, 'cluster')
await makeDataDir(dataDir)
await mkdir(stateDir, { recursive: true, mode: 0o700 })
// Disposal goes upwards: first nobody asks any more, then nothing is decided any more, then the pods stop.
await using stack = new AsyncDisposableStack()
const store = stack.use(await openStore(config.redisUrl))
const pullToken = await openToken(join(stateDir, 'pull-token'))
await store.tokens.adopt(pullToken, { kind: 'registry', repository: '*', actions: ['pull'] }, 'cluster')
const objects = stack.use(await openObjects(await openClusterObjects(config.redisUrl)))
const serviceCidr = chooseServiceCidr(objects, parseRoutes(await readFile('/proc/net/route', 'utf8')))

const sandbox = stack.use(await openSandbox({ dataDir, owner: OWNER, warmNetworks: 0 }, log))
const proxy = stack.use(await startServiceProxy({ objects, log, dataDir, serviceCidr }))
const kubelet = stack.use(
  await startKubelet({
    objects,
    sandbox,
    registry: openRegistry(config, await readRegistries(config.registriesFile), pullToken),
    blobs: await openBlobStore(join(dataDir, 'blobs')),
    lease: () => openLease(openSys(), dataDir),
    platform: hostPlatform(),
    proxy,
    log,
    nodeName: hostname().toLowerCase(),
    nodeIp: hostAddress(),
    dataDir: stateDir,
  }),
)
stack.use(await startControllers({ objects, log }))
const identity = await openIdentity(stateDir, HOST)
const server = stack.use(
  await startServer({
    objects,
    addresses: new ServiceAddresses(objects, serviceCidr),
    logs: kubelet.logs,
    sessions: kubelet.sessions,
    identity,
    host: HOST,
    port: config.clusterPort,
    log,
  }),
)
await writeKubeconfig(config.kubeconfigFile, server.url, identity)
log.info({ url: server.url, serviceCidr }, 'listening')
await aborted(signal)
