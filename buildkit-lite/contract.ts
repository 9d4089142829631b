import type { Readable } from 'node:stream'
import type { Digest, Layer } from '#domain/digest'
import type { BuildErrorKind } from '#domain/errors'
import type { Containers, Networks, Snapshots } from '#sandbox'
import type { BuildContext } from './context/contract.ts'
import type { BlobStore } from './layers/blob-store.ts'
import type { Plan, PlanWarning, Platform } from './plan/plan.ts'
import type { Registry } from './registry/contract.ts'
import type { SharedWork } from './solver/shared-work.ts'

/** What a person asks for. */
export interface BuildRequest {
  context: BuildContext
  /** Contexts by name, for `--build-context` and `COPY --from=NAME`. */
  namedContexts: Readonly<Record<string, NamedContext>>
  /** Path of the Dockerfile in the context, or its text with the name errors shall show. */
  dockerfile: { path: string } | { name: string; text: string }
  target: string | null
  buildArgs: Readonly<Record<string, string>>
  labels: Readonly<Record<string, string>>
  platform: Platform
  /** Whether somebody asked for `platform`: the image then says it, whatever its base is for. */
  platformGiven?: boolean
  useCache: boolean
  /** Stages whose steps run again although they are cached; lower case. */
  noCacheStages: readonly string[]
  /** Solve stages too that nobody has to look at, as for a cache that shall have all of them. */
  everyStage?: boolean
  /** Resolve tags of base images again. Every build does: nothing remembers what a tag led to. */
  pull: boolean
  network: 'default' | 'none' | 'host'
  extraHosts: readonly { name: string; address: string }[]
  secrets: Readonly<Record<string, Buffer>>
  run: RunSettings
  image: ImageSettings
  /** Shares and separates caches: builds of one scope may use each other's steps. */
  cacheScope: string
  /** Scopes whose results are used besides, where ours has none; nothing is kept there. In order of preference. */
  readScopes?: readonly string[]
  /** What is built: builds of one subject tell which of their steps changed since the last one. */
  subject: string
}

/** What a Dockerfile may only do where the operator allows it. */
export type Entitlement = 'network.host' | 'security.insecure' | 'device'

/** What every RUN gets besides what its instruction says. */
export interface RunSettings {
  entitlements: readonly Entitlement[]
  /** Of /dev/shm; null is 64 MiB. */
  shmSizeBytes: number | null
  /** In the form `nofile` (no `RLIMIT_` in front); -1 is unlimited. */
  ulimits: readonly { name: string; soft: number; hard: number }[]
  /** Bounds of each step's control group; no part of a cache key. Null keeps the builder's own. */
  resources: {
    memoryBytes: number | null
    /** Memory and swap together; -1 is unlimited. */
    memorySwapBytes: number | null
    cpuShares: number | null
    cpuPeriodUs: number | null
    cpuQuotaUs: number | null
    cpusetCpus: string | null
    cpusetMems: string | null
  }
  /** Sockets of agents for `--mount=type=ssh`, by id. */
  sshAgents: Readonly<Record<string, string>>
}

/** How the image is written. */
export interface ImageSettings {
  annotations: readonly { place: AnnotationPlace; platform: Platform | null; name: string; value: string }[]
  compression: { kind: 'gzip' | 'zstd' | 'none'; level: number | null; force: boolean }
  /** False writes Docker's own media types. */
  ociMediaTypes: boolean
  /** Clamps times of files in new layers to SOURCE_DATE_EPOCH. */
  rewriteTimestamp: boolean
  provenance: ProvenanceSettings | null
  sbom: boolean
  /** The image's config says by which steps its layers were made, so that it can be built from as a cache. */
  inlineCache?: boolean
}

export interface ProvenanceSettings {
  mode: 'min' | 'max'
  version: 'v0.2' | 'v1'
  builderId: string
  reproducible: boolean
  /** Only with images, and not beside exported files. */
  inlineOnly?: boolean
  /** Of the file beside exported files; `provenance.json` where none is given. */
  fileName?: string
}

export type AnnotationPlace = 'manifest' | 'index' | 'manifest-descriptor' | 'index-descriptor'

export const DEFAULT_RUN_SETTINGS: RunSettings = {
  entitlements: [],
  shmSizeBytes: null,
  ulimits: [],
  resources: {
    memoryBytes: null,
    memorySwapBytes: null,
    cpuShares: null,
    cpuPeriodUs: null,
    cpuQuotaUs: null,
    cpusetCpus: null,
    cpusetMems: null,
  },
  sshAgents: {},
}

export const DEFAULT_IMAGE_SETTINGS: ImageSettings = {
  annotations: [],
  compression: { kind: 'gzip', level: null, force: false },
  ociMediaTypes: true,
  rewriteTimestamp: false,
  provenance: null,
  sbom: false,
}

export type NamedContext =
  | { kind: 'context'; context: BuildContext }
  | { kind: 'image'; reference: string }
  | { kind: 'oci-layout'; path: string; reference: string | null }

/** What a build works with; handed in, so that it is tested without root. */
export interface BuildTools {
  containers: Containers
  snapshots: Snapshots
  networks: Networks
  blobs: BlobStore
  registry: Registry
  cache: StepCache
  /** Directory that outlives the build: cache mounts, and what a running step needs beside its file system. */
  stateDir: string
  /** One for the whole process, so that builds share what they do at the same time. */
  sharedWork: SharedWork
  /** Tell the builds of several processes that share `cache` who runs a step; missing where there is but one. */
  stepLeases?: StepLeases
  limits: { stepMemoryBytes: number; stepPids: number; stepCpus: number | null }
  /** Where ADD may download from; only public addresses if not given. */
  remote?: { allowPrivate: boolean }
  /** Awaited, so that a slow listener slows the container's pipe instead of filling memory. */
  report: (event: SolveEvent) => Promise<void>
  now: () => number
}

/** What happens while a plan is solved. `step` is an index in `Plan.steps`. */
export type SolveEvent =
  | { kind: 'planned'; plan: Plan }
  /** Of a Dockerfile that cannot be planned; the warnings of others are in their plan. */
  | { kind: 'warned'; warnings: readonly PlanWarning[] }
  | { kind: 'step-started'; step: number; missReason: string | null }
  | { kind: 'output'; step: number; stream: 'stdout' | 'stderr' | 'system'; bytes: Buffer }
  | { kind: 'step-finished'; step: number; outcome: StepOutcome }

export type StepOutcome =
  | { kind: 'cached' }
  | { kind: 'done' }
  | { kind: 'failed'; error: BuildErrorKind; message: string; exitCode: number | null }
  | { kind: 'cancelled' }

/** An image that was built: everything that a push or an export needs. */
export interface BuiltImage {
  manifestDigest: Digest
  manifest: Buffer
  manifestMediaType: string
  configDigest: Digest
  config: Buffer
  layers: readonly Layer[]
  /** Opens any of `layers`: from the blob store, or lazily from where the base image lies. */
  content: LayerSource
  /** `REGISTRY/REPOSITORY` the base image came from, so that a push to the same registry can mount its blobs. */
  baseRepository: string | null
  /** Manifest, config and compressed layers together. */
  sizeBytes: number
}

/** What is remembered of a step that ran: enough to compose an image without its files. */
export interface CachedStep {
  layer: Layer
  /** When the step ran: history and image times of a fully cached build repeat it, so that the digest does too. */
  createdAtMs: number
  /** How long it took to make; missing where nobody knows any more. */
  tookMs?: number
}

/** The right to run a step, which one of all processes has at a time. */
export interface StepLeases {
  /** Waits until nobody else runs the step, or whoever did is dead. Disposing gives it back, and those who wait go on. */
  take(scope: string, key: string, signal: AbortSignal): Promise<StepLease>
}

export interface StepLease extends AsyncDisposable {
  /** Whether it is still ours: it stays so long enough to keep a result. */
  confirm(): Promise<boolean>
}

/** Step key to result. Keys are `sha256:…` and say everything that the result depends on. */
export interface StepCache {
  get(scope: string, key: string): Promise<CachedStep | null>
  put(scope: string, key: string, step: CachedStep, origin: StepOrigin): Promise<void>
  /** The newest components stored for the same instruction at the same place, to say why a key missed. */
  nearest(scope: string, place: string): Promise<readonly KeyComponent[] | null>
}

/** Where in a Dockerfile a step came from, and what its key was made of. */
export interface StepOrigin {
  /** The same for the same instruction at the same place of a stage, whatever its inputs hold. */
  place: string
  components: readonly KeyComponent[]
  stage?: string
}

/** One named part of a step's key: `{ name: 'COPY package.json', digest }`. */
export interface KeyComponent {
  name: string
  digest: string
}

/** Opens a compressed layer's bytes wherever they are. */
export interface LayerSource {
  open(layer: Layer, signal: AbortSignal): Promise<Readable>
}
