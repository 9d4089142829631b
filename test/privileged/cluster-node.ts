import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { pack } from 'tar-stream'
import { createRegistry, openBlobStore, type Registry } from '#buildkit-lite'
import { Digest } from '#domain/digest'
import { parseImageReference } from '#domain/image-reference'
import { openLease } from '#host/disk-use'
import { run } from '#host/exec'
import { createLogger, type Logger } from '#host/log'
import { openSys } from '#host/sys'
import { openSandbox, type Sandbox } from '#sandbox'
import { openClusterObjects } from '#store/cluster-objects'
import type { Kubelet } from '../../cluster/contract.ts'
import type { Pod, Service } from '../../cluster/kinds.ts'
import { startKubelet } from '../../cluster/kubelet/kubelet.ts'
import type { ObjectStore } from '../../cluster/objects.ts'
import { type OpenObjects, openObjects } from '../../cluster/open-objects.ts'
import type { Container, PodSpec } from '../../cluster/pod-kinds.ts'
import { startServiceProxy } from '../../cluster/service-proxy/proxy.ts'
import { startDockerRegistry } from '../support/docker-registry.ts'
import { startRedis } from '../support/redis.ts'
import { makeDataDir } from './busybox.ts'

const platform = { os: 'linux', architecture: process.arch === 'arm64' ? 'arm64' : 'amd64' }

/** The node's part of a cluster: real Redis, registry, sandbox, rules and kubelet. */
export interface TestNode extends AsyncDisposable {
  readonly objects: OpenObjects
  readonly sandbox: Sandbox
  readonly registry: Registry
  readonly dataDir: string
  /** `127.0.0.1:PORT/busybox:1` */
  readonly image: string
  readonly log: Logger
  readonly kubelet: () => Kubelet
  /** Stops and starts the kubelet and the proxy, as a restart of the cluster does. */
  restart(): Promise<void>
  logOf(name: string, container?: string, previous?: boolean): Promise<string>
  /** Resolves with the pod as soon as it satisfies the condition. */
  untilPod(name: string, is: (pod: Pod) => boolean, limitMs?: number): Promise<Pod>
  untilGone(name: string, limitMs?: number): Promise<void>
  events(name: string): string[]
}

export async function startNode(owner: string): Promise<TestNode> {
  const log = createLogger('test', process.env['SLIP_TEST_LOG'] ?? 'warn')
  await using stack = new AsyncDisposableStack()
  const { path: dataDir } = stack.use(makeDataDir())
  const redis = stack.use(await startRedis())
  const { host } = stack.use(await startDockerRegistry())
  const store = stack.use(await openClusterObjects(redis.url))
  const objects = stack.use(await openObjects(store))
  const sandbox = stack.use(await openSandbox({ dataDir, owner, warmNetworks: 0 }, log))
  const registry = createRegistry({ searchOrder: [host], credentialsFor: () => null, insecure: [] })
  const image = `${host}/busybox:1`
  await pushBusybox(registry, image)
  const blobs = await openBlobStore(join(dataDir, 'blobs'))
  const lease = () => openLease(openSys(), dataDir)
  const start = async () => {
    await using parts = new AsyncDisposableStack()
    const proxy = parts.use(await startServiceProxy({ objects, log, dataDir, serviceCidr: '10.96.0.0/16' }))
    const node = { nodeName: 'node', nodeIp: '192.0.2.2', dataDir: join(dataDir, 'cluster'), platform }
    const kubelet = parts.use(await startKubelet({ objects, sandbox, registry, blobs, lease, proxy, log, ...node }))
    return { kubelet, parts: parts.move() }
  }
  let running = await start()
  stack.defer(() => running.parts.disposeAsync())
  const owned = stack.move()
  return {
    objects,
    sandbox,
    registry,
    dataDir,
    image,
    log,
    ...viewOf(objects, () => running.kubelet),
    kubelet: () => running.kubelet,
    restart: async () => {
      await running.parts.disposeAsync()
      running = await start()
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

function viewOf(objects: ObjectStore, kubelet: () => Kubelet) {
  const untilPod = async (name: string, is: (pod: Pod) => boolean, limitMs = 20_000): Promise<Pod> => {
    const { promise, resolve, reject } = Promise.withResolvers<Pod>()
    const look = () => {
      const pod = objects.get('Pod', 'default', name)
      if (pod && is(pod)) resolve(pod)
    }
    using _watch = objects.watch('Pod', look)
    look()
    const last = () => JSON.stringify(objects.get('Pod', 'default', name)?.status)
    const timer = setTimeout(() => reject(new Error(`pod ${name} after ${limitMs} ms: ${last()}`)), limitMs)
    return await promise.finally(() => clearTimeout(timer))
  }
  return {
    untilPod,
    untilGone: async (name: string, limitMs = 20_000) => {
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      const look = () => objects.get('Pod', 'default', name) ?? resolve()
      using _watch = objects.watch('Pod', look)
      look()
      const timer = setTimeout(() => reject(new Error(`pod ${name} is still there after ${limitMs} ms`)), limitMs)
      await promise.finally(() => clearTimeout(timer))
    },
    events: (name: string) =>
      objects
        .list('Event', 'default')
        .filter((event) => event.involvedObject.name === name)
        .map((event) => `${event.reason}: ${event.message}`),
    logOf: async (name: string, container = 'c', previous = false) => {
      const pod = objects.get('Pod', 'default', name)
      if (!pod) throw new Error(`no pod ${name}`)
      const whole = { follow: false, timestamps: false, tailLines: null, sinceSeconds: null, sinceTime: null }
      const request = { ...whole, limitBytes: null, container, previous }
      const chunks: Uint8Array[] = []
      for await (const chunk of kubelet().logs.read(pod, request, AbortSignal.timeout(5000))) chunks.push(chunk)
      return Buffer.concat(chunks).toString()
    },
  }
}

export function podOf(
  name: string,
  container: Partial<Container>,
  { labels = {}, ...spec }: Partial<PodSpec> & { labels?: Record<string, string> } = {},
): Pod {
  const c = { name: 'c', image: '', imagePullPolicy: 'IfNotPresent' as const, ...container }
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', labels },
    spec: { containers: [c], restartPolicy: 'Always', terminationGracePeriodSeconds: 5, ...spec },
  }
}

export function serviceOf(name: string, spec: Partial<Service['spec']>): Service {
  return { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'default' }, spec: { ...spec } }
}

export const isReady = (pod: Pod) =>
  pod.status?.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True') ?? false

/** A one-layer image of busybox alone, as somebody else's tool would push it. */
export async function pushBusybox(registry: Registry, name: string): Promise<void> {
  const tar = pack()
  const binary = await readFile('/bin/busybox')
  const text = {
    'etc/passwd': 'root:x:0:0:root:/root:/bin/sh\napp:x:1234:1234::/:/bin/sh\n',
    'etc/group': 'root:x:0:\napp:x:1234:\n',
    'www/index.html': 'hello\n',
  }
  for (const dir of ['bin/', 'etc/', 'www/', 'www/cgi-bin/']) tar.entry({ name: dir, type: 'directory', mode: 0o755 })
  tar.entry({ name: 'tmp/', type: 'directory', mode: 0o1777 })
  tar.entry({ name: 'bin/busybox', mode: 0o755 }, binary)
  const { stdout } = await run('/bin/busybox', ['--list'])
  for (const tool of stdout
    .toString()
    .split('\n')
    .filter((tool) => tool && tool !== 'busybox'))
    tar.entry({ name: `bin/${tool}`, type: 'symlink', linkname: 'busybox' })
  for (const [path, content] of Object.entries(text)) tar.entry({ name: path, mode: 0o644 }, content)
  const slow = '#!/bin/sh\nprintf "Content-Type: text/plain\\r\\n\\r\\n"\nsleep 0.05\nhostname\n'
  tar.entry({ name: 'www/cgi-bin/who', mode: 0o755 }, slow)
  const peer = '#!/bin/sh\nprintf "Content-Type: text/plain\\r\\n\\r\\n"\necho $REMOTE_ADDR\n'
  tar.entry({ name: 'www/cgi-bin/peer', mode: 0o755 }, peer)
  tar.finalize()
  const chunks: Buffer[] = []
  for await (const chunk of tar) chunks.push(chunk as Buffer)
  const bytes = Buffer.concat(chunks)
  const layer = gzipSync(bytes, { level: 1 })
  const config = Buffer.from(
    JSON.stringify({
      architecture: platform.architecture,
      os: 'linux',
      config: { Env: ['PATH=/bin', 'FROM_IMAGE=yes'], Cmd: ['sh', '-c', 'echo from the image'] },
      rootfs: { type: 'layers', diff_ids: [digestOf(bytes)] },
    }),
  )
  const to = parseImageReference(name)
  const signal = AbortSignal.timeout(20_000)
  for (const blob of [layer, config])
    await registry.pushBlob(
      to,
      { digest: digestOf(blob), sizeBytes: blob.length, open: async () => Readable.from([blob]) },
      signal,
    )
  const descriptor = (mediaType: string, blob: Buffer) => ({ mediaType, digest: digestOf(blob), size: blob.length })
  const mediaType = 'application/vnd.oci.image.manifest.v1+json'
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType,
      config: descriptor('application/vnd.oci.image.config.v1+json', config),
      layers: [descriptor('application/vnd.oci.image.layer.v1.tar+gzip', layer)],
    }),
  )
  await registry.pushManifest(to, { bytes: manifest, mediaType, digest: digestOf(manifest) }, signal)
}

function digestOf(bytes: Buffer): Digest {
  return Digest.parse(`sha256:${createHash('sha256').update(bytes).digest('hex')}`)
}

/** As the service proxy names it. */
export function tableOf(dataDir: string): string {
  return `slip_services_${createHash('sha256').update(dataDir).digest('hex').slice(0, 8)}`
}

/** What one owner's pods have on the host. */
export async function tracesOf(dataDir: string, owner: string, podIps: readonly string[] = []) {
  const lines = async (file: string, ...args: string[]) =>
    (await run(file, args)).stdout.toString().split('\n').filter(Boolean)
  const groups = readdirSync('/sys/fs/cgroup')
    .map((name) => join('/sys/fs/cgroup', name, 'slipway'))
    .filter((path) => existsSync(path))
  return {
    mounts: readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .filter((line) => line.includes(dataDir)),
    podAddresses: (await lines('ip', '-4', 'route')).filter((line) => podIps.some((ip) => line.startsWith(`${ip} `))),
    cgroups: groups
      .flatMap((path) =>
        readdirSync(path)
          .filter((name) => name.startsWith(`${owner}-`))
          .map((name) => join(path, name)),
      )
      .flatMap((path) => readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory())),
    tables: (await lines('nft', 'list', 'tables', 'ip')).filter((line) => line.includes(tableOf(dataDir))),
    pods: existsSync(join(dataDir, 'cluster/pods')) ? readdirSync(join(dataDir, 'cluster/pods')) : [],
  }
}
