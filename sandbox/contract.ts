import type { Readable, Writable } from 'node:stream'
import type { ExitStatus } from '#host/exec'

/**
 * What the rooms above know of the sandbox. Everything made here is `AsyncDisposable`; disposing twice is harmless,
 * and what a dead process left behind is found by its name and reaped at the next start.
 */

/** A content-derived name of a committed snapshot: `sha256:…` chain ids and step keys both fit. */
export type SnapshotKey = string

/** A stack of directories, as overlayfs takes them: top-most first. */
export interface SnapshotLayers {
  readonly lowerDirs: readonly string[]
}

/** A snapshot that is being written. It can be committed once, after everything that wrote to it has ended. */
export interface ActiveSnapshot extends AsyncDisposable, SnapshotLayers {
  /** The directory that holds only what was changed, in overlayfs's own form of whiteouts and opaque directories. */
  readonly upperDir: string
  /**
   * Mounts the merged tree read-write and returns its root; a second call returns the same mount. For a container the
   * tree also shows the mount points that it needs (`/proc`, `/dev`, `/sys`, `/etc/resolv.conf`, `/etc/hosts`), which
   * are neither in `upperDir` nor in `lowerDirs`; who writes files itself says `mountPoints: false`.
   */
  mount(options?: { mountPoints: boolean }): Promise<string>
  /** Makes the upper directory a snapshot of its own, beneath the same parent. Unmounts first. */
  commit(key: SnapshotKey): Promise<void>
}

/** A committed snapshot's merged tree, mounted read-only until disposed. */
export interface SnapshotView extends AsyncDisposable {
  readonly rootDir: string
}

export interface Snapshots {
  has(key: SnapshotKey): Promise<boolean>
  /** A new writable snapshot on top of `parent`; null is an empty file system. Fails with kind `not-found`. */
  prepare(parent: SnapshotKey | null): Promise<ActiveSnapshot>
  /** Fails with kind `not-found` where `key` was never committed. `null` is an empty tree. */
  view(key: SnapshotKey | null): Promise<SnapshotView>
  /** The directories of a committed snapshot and all its parents. */
  layersOf(key: SnapshotKey): Promise<SnapshotLayers>
  /** Fails with kind `conflict` while others stand on it or it is in use. */
  remove(key: SnapshotKey): Promise<void>
}

/** One more mount inside a container. */
export type ContainerMount =
  /** On one that is `inert` nothing is executed, and set-user-id bits and device nodes mean nothing. */
  | { kind: 'bind'; source: string; target: string; readonly: boolean; inert?: true }
  | { kind: 'tmpfs'; target: string; sizeBytes: number | null; mode: number }

/** A network namespace with an address of its own, ready before the container is. */
export interface NetworkNamespace extends AsyncDisposable {
  /** Path of the pinned namespace, for runc and nsenter. */
  readonly path: string
  /** IPv4 address; null where there is only a loopback. */
  readonly address: string | null
}

export interface Networks {
  /** Begins to make the namespaces that are kept ready, where that was put off; who asks for one waits for it. */
  warmUp(): void
  /** For a build step: the internet and the resolver, not the host. Taken from a warm pool. */
  acquireEgress(signal: AbortSignal): Promise<NetworkNamespace>
  /** For a pod: reachable from the host and from other pods at its address, and may open connections outwards. */
  createPod(signal: AbortSignal): Promise<NetworkNamespace>
}

export interface ContainerLimits {
  memoryBytes: number | null
  cpus: number | null
  pids: number | null
  /** Memory and swap together; -1 is unlimited, and without it there is no swap on top of `memoryBytes`. */
  memorySwapBytes?: number | null
  /** Weight against neighbours; 1024 is the usual one. */
  cpuShares?: number | null
  /** These two go before `cpus`. */
  cpuPeriodUs?: number | null
  cpuQuotaUs?: number | null
  /** Such as `0-2,7`. */
  cpusetCpus?: string | null
  cpusetMems?: string | null
}

/** A limit of setrlimit(2) by its name in small letters, such as `nofile`; -1 is unlimited. */
export interface ResourceLimit {
  name: string
  soft: number
  hard: number
}

/** A device node of the host, made inside at `target`. */
export interface ContainerDevice {
  source: string
  target: string
  /** Any of `r`, `w` and `m`. */
  permissions: string
}

export interface ContainerSpec {
  /** Root file system, already mounted. */
  rootDir: string
  args: readonly string[]
  /** `NAME=value`, in order. */
  env: readonly string[]
  workingDir: string
  user: { uid: number; gid: number; additionalGids: readonly number[] }
  hostname: string
  /** Only a loopback, a namespace that outlives the container, or the host's own. */
  network: 'none' | 'host' | NetworkNamespace
  /** Further lines of /etc/hosts. */
  extraHosts?: readonly { name: string; address: string }[]
  mounts: readonly ContainerMount[]
  /** Size of /dev/shm; 64 MiB if not given. */
  shmSizeBytes?: number | null
  devices?: readonly ContainerDevice[]
  limits: ContainerLimits
  /** Instead of our own of the same name. */
  rlimits?: readonly ResourceLimit[]
  readonlyRoot: boolean
  /** `default` is Docker's set of capabilities with its seccomp list, `privileged` is everything, with all devices. */
  security: 'default' | 'privileged'
}

export interface ContainerUsage {
  /** How often the kernel's out-of-memory killer struck in this container. */
  oomKills: number
  peakMemoryBytes: number | null
  cpuMs: number | null
}

/** A started container. Disposing kills what is left of it, and ends when nothing of it is left. */
export interface Container extends AsyncDisposable {
  readonly id: string
  readonly pid: number
  readonly stdout: Readable
  readonly stderr: Readable
  /** When its first process and everything it started are gone. */
  readonly exited: Promise<ExitStatus & { usage: ContainerUsage }>
  /** Signals its first process. */
  kill(signal: NodeJS.Signals): Promise<void>
  /** Runs a further program inside; the caller owns it. */
  exec(command: ExecSpec): Promise<ExecProcess>
}

export interface ExecSpec {
  args: readonly string[]
  env?: readonly string[]
  workingDir?: string
  user?: ContainerSpec['user']
  /** Gives the program a terminal of its own; what it prints then all comes as `stdout`. */
  terminal?: boolean
}

export interface ExecProcess extends AsyncDisposable {
  readonly stdin: Writable
  /** Of the program's terminal, if it has one. */
  resize(size: { columns: number; rows: number }): Promise<void>
  readonly stdout: Readable
  readonly stderr: Readable
  readonly exited: Promise<ExitStatus>
}

export interface Containers {
  /**
   * Starts the program; aborting the signal kills the container. Fails with kind `step-failed` and an `exitCode` of 126
   * or 127 where the program cannot be run. A program killed by a signal ends with code 128 + its number.
   */
  start(spec: ContainerSpec, signal: AbortSignal): Promise<Container>
}

/** One process's sandbox: its containers, snapshots and networks, with everything that dead ones left reaped. */
export interface Sandbox extends AsyncDisposable {
  readonly containers: Containers
  readonly snapshots: Snapshots
  readonly networks: Networks
}

export interface SandboxOptions {
  /** Below this directory lie snapshots and mounts. */
  dataDir: string
  /** Letters, digits, dots and dashes; part of the names of control groups. One live process per owner. */
  owner: string
  /** Network namespaces kept ready. */
  warmNetworks: number
  /** Whether they are made only from the first `Networks.warmUp` on. */
  warmsLater?: boolean
}
