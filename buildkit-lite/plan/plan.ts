import type { Layer } from '#domain/digest'
import type { HistoryEntry, ImageConfig } from '../image/config.ts'

/**
 * A plan is a DAG of steps, each of which makes a file system from those of earlier steps. It is a plain value: fully
 * expanded, with nothing left to read but files of contexts, so that it can be printed and compared (golden files).
 */
export interface Plan {
  /** In an order in which every step comes after the steps it uses. Only what the target needs. */
  steps: readonly PlanStep[]
  /** Stages whose FROM is a step of another stage that begins with the same image; missing where there are none. */
  stagesOnSharedBases?: readonly string[]
  target: PlannedImage
  warnings: readonly PlanWarning[]
  /** SOURCE_DATE_EPOCH in Unix seconds: the time that images and what is made for them shall have. Null for the real one. */
  sourceDateEpoch: number | null
  /** What bills of materials list besides the target; missing where nothing was asked for. */
  scans?: { stages: readonly { name: string; fileSystem: FileSystem }[]; context: boolean }
}

/** A rule of the linter that the Dockerfile breaks, ready to be shown. */
export interface PlanWarning {
  /** `StageNameCasing`, one of the rules' names that users know from BuildKit. */
  rule: string
  /** What is wrong at this place. */
  message: string
  /** What the rule asks for. */
  description: string
  /** Where the rule is explained; empty for none. */
  url: string
  file: string
  /** First and last line in the Dockerfile, from 1. */
  line: number
  lastLine: number
  excerpt: string
}

/** Index of a step in `Plan.steps`; null is the empty file system of `FROM scratch`. */
export type FileSystem = number | null

export interface PlannedImage {
  fileSystem: FileSystem
  /** Complete but for `created`, `history` and `rootfs`. */
  config: ImageConfig
  /** The base image's history in front, then one entry an instruction; `step` names the step whose layer it is. */
  history: readonly PlannedHistory[]
}

/** `step` is null for entries without a layer, and for those of the base image. */
export interface PlannedHistory {
  entry: HistoryEntry
  step: number | null
}

export interface PlanStep {
  stage: string
  /** The instruction as a person reads it: `RUN npm ci`. */
  title: string
  /** Line of the instruction in the Dockerfile, from 1; null where none names it. */
  line: number | null
  /** Its last line, where it has more than one. */
  lastLine?: number
  operation: Operation
}

export type Operation = BaseOperation | RunOperation | CopyOperation | WorkdirOperation

/** An image's layers, as resolved; nothing is pulled before a step really needs its files. */
export interface BaseOperation {
  kind: 'base'
  image: ResolvedImage
}

export interface RunOperation {
  kind: 'run'
  input: FileSystem
  /** The program and its arguments; the shell is already in front. */
  args: readonly string[]
  /** `NAME=value` of ENV, then of ARG, in order, without HOME and the default PATH. */
  env: readonly string[]
  /** Names of `env` whose values are those of ARGs; missing where there are none. */
  argNames?: readonly string[]
  /** Names of `env` that are predefined proxy arguments, which stay out of the cache key. */
  proxyEnv: readonly string[]
  workingDir: string
  /** USER as written; empty is root. */
  user: string
  network: 'default' | 'none' | 'host'
  security: 'sandbox' | 'insecure'
  hostname: string
  mounts: readonly RunMount[]
  /** Of the host, by the names that their drivers gave them; absent for none. */
  devices?: readonly { name: string; required: boolean }[]
  /** Scripts that start with `#!`: put at `/dev/pipes/NAME` and executed. */
  scripts: readonly { name: string; content: string }[]
}

export type RunMount =
  | { kind: 'bind'; from: CopyOrigin; source: string; target: string; readonly: boolean }
  | {
      kind: 'cache'
      id: string
      target: string
      sharing: 'shared' | 'private' | 'locked'
      readonly: boolean
      mode: number
      uid: number
      gid: number
      /** Whether `id` was written. */
      isNamed?: true
      /** Whether `mode`, `uid` or `gid` were written, and count: such a cache is another one than that without. */
      isOwned?: true
      /** Of BUILDKIT_CACHE_MOUNT_NS; separates caches of one id. */
      namespace?: string
      /** Where a new cache gets its first files from; `source` is a path there. Empty if not given. */
      from?: CopyOrigin
      source?: string
    }
  | { kind: 'tmpfs'; target: string; sizeBytes: number | null }
  | { kind: 'ssh'; id: string; target: string; required: boolean; mode: number; uid: number; gid: number }
  | {
      kind: 'secret'
      id: string
      target: string | null
      env: string | null
      required: boolean
      mode: number
      uid: number
      gid: number
    }

/** Where COPY, ADD and bind mounts take files from. `context` null is the main build context. */
export type CopyOrigin = { kind: 'context'; name: string | null } | { kind: 'step'; fileSystem: FileSystem }

export interface CopyOperation {
  kind: 'copy'
  input: FileSystem
  from: CopyOrigin
  /** Paths or patterns beneath the origin's root, in order; files given as heredocs. */
  sources: readonly CopySource[]
  /** Absolute destination; a trailing slash says "a directory". */
  destination: string
  /** As written, expanded: names are looked up in the destination. Null keeps the origin's rule. */
  chown: string | null
  /** Octal or symbolic, as written and expanded. */
  chmod: string | null
  link: boolean
  parents: boolean
  exclude: readonly string[]
  /** ADD unpacks `local` archives, or those of URLs, too; COPY never does. */
  unpack: 'never' | 'local' | 'always'
}

export type CopySource =
  | { kind: 'path'; path: string }
  | { kind: 'inline'; name: string; content: string }
  /** Downloaded when the step is keyed; `checksum` is `sha256:…`. */
  | { kind: 'http'; url: string; checksum: string | null }
  /** `checksum` is a whole or abbreviated commit. */
  | {
      kind: 'git'
      url: string
      ref: string | null
      subdirectory: string
      keepGitDir: boolean
      submodules: boolean
      checksum: string | null
      /** Files get the time of the commit. */
      mtime?: 'commit'
    }

/** WORKDIR makes its directory: what is missing belongs to `user`. */
export interface WorkdirOperation {
  kind: 'workdir'
  input: FileSystem
  path: string
  user: string
  /** Unix seconds: the time of the directories it makes. Missing for the real one. */
  timestamp?: number
}

/** An image as its registry described it: enough to plan on, and to compose a manifest from. */
export interface ResolvedImage {
  /** As formatted for people: `docker.io/library/debian:12`. */
  reference: string
  manifestDigest: string
  config: ImageConfig
  layers: readonly Layer[]
  /** Opaque to the planner: which image source can open the layers' blobs. */
  source: string
}

/** What planning asks of the world: the image behind a name, or an error of kind `pull-…`. */
export interface ImageResolver {
  resolve(reference: string, platform: Platform, signal: AbortSignal): Promise<ResolvedImage>
}

export interface Platform {
  os: string
  architecture: string
  variant?: string
}
