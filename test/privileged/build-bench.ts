import { mkdir, mkdtempDisposable, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type BuildRequest,
  type BuildTools,
  type BuiltImage,
  type BuiltResult,
  build,
  buildAll,
  createRegistry,
  createSharedWork,
  DEFAULT_IMAGE_SETTINGS,
  DEFAULT_RUN_SETTINGS,
  exportDirectory,
  formatPlatform,
  hostPlatform,
  importRootfs,
  openBlobStore,
  openDirectoryContext,
  openFileStepCache,
  parsePlatform,
  pushImage,
  type SolveEvent,
} from '#buildkit-lite'
import { parseImageReference } from '#domain/image-reference'
import { run } from '#host/exec'
import { createLogger } from '#host/log'
import { openSandbox } from '#sandbox'
import { startDockerRegistry } from '../support/docker-registry.ts'
import { makeDataDir, never, writeBusybox } from './busybox.ts'

interface Built {
  image: BuiltImage
  /** Titles of the steps that really ran. */
  ran: string[]
  output: string
  reasons: (string | null)[]
}

/** The builder with a real sandbox, and a registry with the image `busybox`. */
export interface BuildBench extends AsyncDisposable {
  tools: Omit<BuildTools, 'report'>
  host: string
  dataDir: string
  /** Builds the directory that the files make; a name that ends with `/` is a directory. */
  buildFiles(files: Record<string, string>, change?: Partial<BuildRequest>): Promise<Built>
  /** Builds a directory with its `Dockerfile`. */
  buildDirectory(path: string, change?: Partial<BuildRequest>, tools?: Omit<BuildTools, 'report'>): Promise<Built>
  /** The same for several platforms; what ran is told as `linux/amd64 TITLE`. */
  buildPlatforms(
    files: Record<string, string>,
    platforms: readonly string[],
    change?: Partial<BuildRequest>,
  ): Promise<{ result: BuiltResult; ran: string[] }>
  requestOf(context: BuildRequest['context']): BuildRequest
  readInside(image: BuiltImage, path: string): Promise<string>
  /** The entries of the newest layer: mode, owner, time in seconds and name, as tar lists them. */
  lastLayer(image: BuiltImage): Promise<string[]>
}

/** With `shared` it is another machine, which knows nothing of the first but the registry that both use. */
export async function openBuildBench(name: string, shared?: Pick<BuildBench, 'host'>): Promise<BuildBench> {
  await using stack = new AsyncDisposableStack()
  const dataDir = stack.use(makeDataDir()).path
  const { host } = shared ?? stack.use(await startDockerRegistry())
  const tools = await openTools(dataDir, { host, owner: `test-${name}-${process.pid}` }, stack)
  if (!shared) await pushBusybox({ dataDir, host, tools })
  const owned = stack.move()
  return {
    tools,
    host,
    dataDir,
    buildFiles: (files, change = {}) => buildFiles({ dataDir, tools }, files, change),
    buildDirectory: (path, change = {}, own = tools) => buildDirectory(own, path, change),
    buildPlatforms: (files, platforms, change = {}) => buildPlatforms({ dataDir, tools }, { files, platforms, change }),
    requestOf,
    readInside: async (image, path) => {
      await using dir = await mkdtempDisposable(join(dataDir, 'export-'))
      await exportDirectory(image, dir.path, tools, never)
      return await readFile(join(dir.path, path), 'utf8')
    },
    lastLayer: async (image) => {
      const layer = image.layers.at(-1)
      if (!layer) return []
      await using dir = await mkdtempDisposable(join(dataDir, 'layer-'))
      const file = join(dir.path, 'layer.tar.gz')
      await writeFile(file, await image.content.open(layer, never))
      const { stdout } = await run('tar', ['--utc', '--full-time', '--numeric-owner', '-tvzf', file])
      return stdout.toString().split('\n').filter(Boolean)
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

async function openTools(
  dataDir: string,
  { host, owner }: { host: string; owner: string },
  stack: AsyncDisposableStack,
): Promise<BuildBench['tools']> {
  const sandbox = stack.use(await openSandbox({ dataDir, owner, warmNetworks: 0 }, createLogger('test', 'silent')))
  return {
    containers: sandbox.containers,
    snapshots: sandbox.snapshots,
    networks: sandbox.networks,
    blobs: await openBlobStore(join(dataDir, 'blobs')),
    registry: createRegistry({ searchOrder: [host], insecure: [], credentialsFor: () => null }),
    cache: await openFileStepCache(join(dataDir, 'cache')),
    stateDir: join(dataDir, 'state'),
    sharedWork: createSharedWork(),
    remote: { allowPrivate: true },
    limits: { stepMemoryBytes: 256 * 1024 * 1024, stepPids: 256, stepCpus: null },
    now: () => Date.now(),
  }
}

async function pushBusybox({ dataDir, host, tools }: Pick<BuildBench, 'dataDir' | 'host' | 'tools'>): Promise<void> {
  const root = join(dataDir, 'busybox')
  await mkdir(root)
  writeBusybox(root)
  await writeFile(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\napp:x:1001:1002::/home/app:/bin/sh\n')
  const base = await importRootfs({ kind: 'directory', path: root }, ['CMD ["sh"]', 'ENV BASE=1'], tools.blobs, never)
  await pushImage(base, [parseImageReference(`${host}/library/busybox:latest`)], tools.registry, never)
  // What is only in the registry has to be pulled by the first step that needs it.
  for (const layer of base.layers) await rm(await tools.blobs.pathOf(layer.descriptor.digest))
}

async function buildFiles(
  { dataDir, tools }: Pick<BuildBench, 'dataDir' | 'tools'>,
  files: Record<string, string>,
  change: Partial<BuildRequest>,
): Promise<Built> {
  await using dir = await writeContext(dataDir, files)
  return await buildDirectory(tools, dir.path, change)
}

async function buildPlatforms(
  { dataDir, tools }: Pick<BuildBench, 'dataDir' | 'tools'>,
  {
    files,
    platforms,
    change,
  }: {
    files: Record<string, string>
    platforms: readonly string[]
    change: Partial<BuildRequest>
  },
): Promise<{ result: BuiltResult; ran: string[] }> {
  await using dir = await writeContext(dataDir, files)
  await using context = await openDirectoryContext(dir.path, { dockerfile: 'Dockerfile' })
  const events = new Map<string, SolveEvent[]>()
  const result = await buildAll(
    { ...requestOf(context), ...change },
    platforms.map((platform) => parsePlatform(platform, hostPlatform())),
    {
      ...tools,
      report: async (event, platform) => {
        const name = formatPlatform(platform)
        events.set(name, [...(events.get(name) ?? []), event])
      },
    },
    never,
  )
  return { result, ran: [...events].flatMap(([name, own]) => sumUp(own).ran.map((title) => `${name} ${title}`)) }
}

async function writeContext(dataDir: string, files: Record<string, string>) {
  const dir = await mkdtempDisposable(join(dataDir, 'context-'))
  for (const [name, content] of Object.entries(files)) {
    const path = join(dir.path, name)
    await mkdir(name.endsWith('/') ? path : join(path, '..'), { recursive: true })
    if (!name.endsWith('/')) await writeFile(path, content)
  }
  return dir
}

async function buildDirectory(tools: BuildBench['tools'], path: string, change: Partial<BuildRequest>): Promise<Built> {
  await using context = await openDirectoryContext(path, { dockerfile: 'Dockerfile' })
  const events: SolveEvent[] = []
  const request = { ...requestOf(context), ...change }
  const report = async (event: SolveEvent): Promise<void> => {
    events.push(event)
  }
  const image = await build(request, { ...tools, report }, never)
  return { image, ...sumUp(events) }
}

function requestOf(context: BuildRequest['context']): BuildRequest {
  return {
    context,
    namedContexts: {},
    dockerfile: { path: 'Dockerfile' },
    target: null,
    buildArgs: {},
    labels: {},
    platform: hostPlatform(),
    useCache: true,
    noCacheStages: [],
    pull: false,
    network: 'none',
    extraHosts: [],
    secrets: {},
    run: DEFAULT_RUN_SETTINGS,
    image: DEFAULT_IMAGE_SETTINGS,
    cacheScope: 'test',
    subject: 'test',
  }
}

function sumUp(events: readonly SolveEvent[]): Omit<Built, 'image'> {
  const planned = events.find((event) => event.kind === 'planned')
  const started = events.filter((event) => event.kind === 'step-started')
  return {
    ran: started.map(({ step }) => planned?.plan.steps[step]?.title ?? ''),
    reasons: started.map(({ missReason }) => missReason),
    output: events.map((event) => (event.kind === 'output' ? event.bytes.toString() : '')).join(''),
  }
}
