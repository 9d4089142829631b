import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { constants } from 'node:os'
import { join } from 'node:path'
import { PassThrough, type Readable } from 'node:stream'
import type { PulledImage } from '#buildkit-lite'
import { messageOf, SlipwayError } from '#domain/errors'
import type {
  ContainerMount,
  ContainerSpec,
  ExecProcess,
  ExecSpec,
  NetworkNamespace,
  Sandbox,
  Container as SandboxContainer,
} from '#sandbox'
import type { Pod } from '../kinds.ts'
import type { Container } from '../pod-kinds.ts'
import { composeEnvironment, type EnvironmentSources } from './environment.ts'
import { logPath, type OpenLogs, rotatedPath } from './log-files.ts'
import { writeLog } from './log-writer.ts'
import type { ProbeTarget } from './probe.ts'
import { composeProcess } from './process.ts'
import type { PodVolumes } from './volumes.ts'

/** How one run of a container ended. */
export interface Ending {
  exitCode: number
  reason: string
  message: string
  startedAtMs: number
  finishedAtMs: number
}

/** One run of a container. */
export interface Instance {
  readonly id: string
  readonly pid: number
  readonly startedAtMs: number
  readonly stopSignal: NodeJS.Signals
  readonly target: ProbeTarget
  /** Runs a further program in the container, with its variables. */
  exec(spec: Pick<ExecSpec, 'args' | 'terminal'>): Promise<ExecProcess>
  /** Copies of what it prints from now on, until their reader is gone or the run has ended. */
  listen(): { stdout: Readable; stderr: Readable }
  /** When it has ended, its log is written and its root file system is gone. Never rejects. */
  readonly ended: Promise<Ending>
  kill(signal: NodeJS.Signals): Promise<void>
}

/** How far a container came that did not start; Kubernetes has a reason for each. */
export class StartError extends SlipwayError {
  readonly stage: 'CreateContainerConfigError' | 'CreateContainerError' | 'RunContainerError'

  constructor(stage: StartError['stage'], cause: unknown) {
    super('step-failed', messageOf(cause), { cause })
    this.stage = stage
  }
}

export interface InstanceWish {
  pod: Pod
  container: Container
  image: PulledImage
  restart: number
  network: NetworkNamespace | 'host'
  sources: EnvironmentSources
  volumes: PodVolumes
  hosts: ContainerMount
}

export interface InstancePlaces {
  sandbox: Sandbox
  podsDir: string
  openLogs: OpenLogs
}

/** Starts a container of a pod. Fails with a StartError; the signal kills it at any time. */
export async function startInstance(
  wish: InstanceWish,
  places: InstancePlaces,
  killed: AbortSignal,
): Promise<Instance> {
  const { pod, container, image, sources } = wish
  await using stack = new AsyncDisposableStack()
  const variables = await inStage('CreateContainerConfigError', () => composeEnvironment(pod, container, sources))
  const rootDir = await inStage('CreateContainerError', async () => {
    const snapshot = stack.use(await places.sandbox.snapshots.prepare(image.snapshotKey))
    return snapshot.mount()
  })
  const process = await inStage('CreateContainerConfigError', () =>
    composeProcess(pod, container, { image: image.config, variables, rootDir }),
  )
  const message = await terminationLog(wish, places.podsDir)
  const mounts = await inStage('CreateContainerConfigError', async () => [
    wish.hosts,
    message.mount,
    ...(await wish.volumes.mountsOf(container)),
  ])
  const spec: ContainerSpec = {
    ...process,
    rootDir,
    hostname: (pod.spec.hostname || pod.metadata.name).slice(0, 63),
    network: wish.network,
    mounts,
  }
  const running = stack.use(await inStage('RunContainerError', () => places.sandbox.containers.start(spec, killed)))
  const startedAtMs = Date.now()
  const path = logPath(places.podsDir, pod.metadata.uid ?? '', container.name, wish.restart)
  const listeners = listenTo(running)
  const log = await writeLog(path, running, places.openLogs)
  const made = stack.move()
  return {
    id: running.id,
    pid: running.pid,
    startedAtMs,
    stopSignal: stopSignalOf(image),
    target: { container, address: sources.podIp, exec: (args) => running.exec({ args }) },
    exec: ({ args, terminal = false }) =>
      running.exec(terminal ? { args, terminal, env: ['TERM=xterm', ...spec.env] } : { args }),
    listen: listeners,
    ended: untilEnded(running, { startedAtMs, log, made, messagePath: message.path }),
    kill: (signal) => running.kill(signal),
  }
}

/** Followers get what they can take; only the log holds a container up. */
function listenTo({ stdout, stderr }: SandboxContainer): Instance['listen'] {
  const follow = (source: Readable): Readable => {
    const copy = new PassThrough({ highWaterMark: FOLLOWER_BYTES })
    const add = (chunk: Buffer) => {
      if (copy.writableLength + chunk.length <= FOLLOWER_BYTES) copy.write(chunk)
    }
    const end = () => copy.end()
    source.on('data', add)
    source.once('close', end).once('end', end)
    copy.once('close', () => source.off('data', add))
    return copy
  }
  return () => ({ stdout: follow(stdout), stderr: follow(stderr) })
}

const FOLLOWER_BYTES = 1024 * 1024

async function inStage<T>(stage: StartError['stage'], work: () => T | Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw new StartError(stage, error)
  }
}

async function untilEnded(
  running: SandboxContainer,
  run: { startedAtMs: number; log: { done: Promise<void> }; made: AsyncDisposableStack; messagePath: string },
): Promise<Ending> {
  const exit = await running.exited
  const finishedAtMs = Date.now()
  await run.log.done
  await run.made.disposeAsync().catch(() => {})
  const exitCode = exit.code ?? 128 + (exit.signal ? constants.signals[exit.signal] : 0)
  const wasOutOfMemory = exit.usage.oomKills > 0 && exitCode !== 0
  const reason = wasOutOfMemory ? 'OOMKilled' : exitCode === 0 ? 'Completed' : 'Error'
  const message = await readFile(run.messagePath, 'utf8').catch(() => '')
  return { exitCode, reason, message: message.slice(0, MAX_MESSAGE_LENGTH), startedAtMs: run.startedAtMs, finishedAtMs }
}

const MAX_MESSAGE_LENGTH = 4096

/** The file a container may leave its last words in. https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/ */
async function terminationLog(
  { pod, container, restart }: InstanceWish,
  podsDir: string,
): Promise<{ path: string; mount: ContainerMount }> {
  const dir = join(podsDir, pod.metadata.uid ?? '', container.name)
  await mkdir(dir, { recursive: true, mode: 0o755 })
  // One run before this one is kept, for its log.
  await rm(join(dir, `${restart - 2}.log`), { force: true })
  await rm(rotatedPath(join(dir, `${restart - 2}.log`)), { force: true })
  await rm(join(dir, `termination-${restart - 1}`), { force: true })
  const path = join(dir, `termination-${restart}`)
  await writeFile(path, '')
  // Whoever the image's user is, whatever our umask.
  await chmod(path, 0o666)
  const target = container.terminationMessagePath || '/dev/termination-log'
  return { path, mount: { kind: 'bind', source: path, target, readonly: false } }
}

function stopSignalOf(image: PulledImage): NodeJS.Signals {
  const name = image.config.config?.StopSignal ?? ''
  const known = Object.keys(constants.signals) as NodeJS.Signals[]
  const found = known.find(
    (signal) => signal === name || signal === `SIG${name}` || String(constants.signals[signal]) === name,
  )
  return found ?? 'SIGTERM'
}
