import type { Readable } from 'node:stream'
import { messageOf, SlipwayError } from '#domain/errors'
import { isDiskFull } from '#host/disk-space'
import type { Container, ContainerSpec, NetworkNamespace } from '#sandbox'
import type { RunOperation } from '../plan/plan.ts'
import { readAccounts, resolveRunUser } from './accounts.ts'
import { cleanPath, resolveBeneath, toByteString, toText } from './beneath.ts'
import { makeDirectories } from './copy-task.ts'
import { findDevices } from './devices.ts'
import { makeMountPoints } from './mount-points.ts'
import { OutputTail } from './output-tail.ts'
import { exitError, ProcessError, startFailure } from './process-error.ts'
import { stepEnvironment } from './run-environment.ts'
import { prepareMounts, type RunMounts } from './run-mounts.ts'
import type { StepScope } from './step-scope.ts'

/** Runs the operation's program in a container on the mounted root. Nothing but its changes is left in the root. */
export async function executeRun(
  scope: StepScope,
  run: RunOperation,
  root: string,
  signal: AbortSignal,
): Promise<void> {
  const user = findUser(run, root)
  // Owned by root, whoever USER is: only WORKDIR itself makes directories for a user.
  const workingDir = makeDirectories({ root, owner: null, mode: null }, cleanPath(toByteString(run.workingDir)))
  const devices = await findDevices(run)
  await using mounts = await prepareMounts(scope, run, { signal, more: devices.mounts })
  using _points = makeMountPoints(scope.sys, root, mounts.points)
  await using network = await openNetwork(scope, run, signal)
  const spec: ContainerSpec = {
    rootDir: root,
    args: run.args,
    env: [...stepEnvironment(run.env, mounts.secretEnv, user.home), ...devices.env],
    workingDir: toText(workingDir),
    user: { ...user, additionalGids: [...user.additionalGids, ...devices.gids] },
    devices: devices.devices,
    hostname: run.hostname,
    network: network.mode,
    mounts: resolveTargets(root, mounts),
    extraHosts: scope.request.extraHosts,
    shmSizeBytes: scope.request.run.shmSizeBytes,
    rlimits: scope.request.run.ulimits,
    limits: limitsOf(scope),
    readonlyRoot: false,
    security: run.security === 'insecure' ? 'privileged' : 'default',
  }
  await runContainer(scope, run, spec, signal)
}

async function runContainer(
  scope: StepScope,
  run: RunOperation,
  spec: ContainerSpec,
  signal: AbortSignal,
): Promise<void> {
  await using container = await startContainer(scope, run, spec, signal)
  const tail = new OutputTail()
  const [exit] = await Promise.all([
    container.exited,
    sendOutput(scope, tail, 'stdout', container.stdout),
    sendOutput(scope, tail, 'stderr', container.stderr),
  ])
  signal.throwIfAborted()
  if (exit.code === 0) return
  throw await orDiskFull(scope, exitError(run, exit, { limits: spec.limits, tail: tail.end() }))
}

/** What a program wrote is still there when it ends: it may be what filled the disk, and what failed for it. */
async function orDiskFull({ tools }: StepScope, error: unknown): Promise<unknown> {
  if (!(await isDiskFull(tools.stateDir))) return error
  return new SlipwayError('disk-full', `No space is left on the disk: ${messageOf(error)}`, { cause: error })
}

async function startContainer(
  scope: StepScope,
  run: RunOperation,
  ...[spec, signal]: [ContainerSpec, AbortSignal]
): Promise<Container> {
  try {
    return await scope.tools.containers.start(spec, signal)
  } catch (error) {
    signal.throwIfAborted()
    throw await orDiskFull(scope, startFailure(run, error))
  }
}

/** Each piece is awaited, so that a slow listener slows the program instead of filling memory. */
async function sendOutput(
  { tools, step }: StepScope,
  tail: OutputTail,
  ...[stream, output]: ['stdout' | 'stderr', Readable]
): Promise<void> {
  for await (const piece of output) {
    const bytes = piece as Buffer
    tail.add(stream, bytes)
    await tools.report({ kind: 'output', step, stream, bytes })
  }
}

function findUser(run: RunOperation, root: string): ReturnType<typeof resolveRunUser> {
  try {
    return resolveRunUser(run.user, readAccounts(root))
  } catch (error) {
    if (error instanceof SlipwayError) throw new ProcessError('step-failed', run, error.message, { exitCode: null })
    throw error
  }
}

async function openNetwork(
  { tools }: StepScope,
  run: RunOperation,
  signal: AbortSignal,
): Promise<AsyncDisposable & { mode: 'none' | 'host' | NetworkNamespace }> {
  if (run.network !== 'default') return { mode: run.network, [Symbol.asyncDispose]: async () => {} }
  const namespace = await tools.networks.acquireEgress(signal)
  return { mode: namespace, [Symbol.asyncDispose]: () => namespace[Symbol.asyncDispose]() }
}

/** Where the targets really are, so that nothing depends on links in the image. */
function resolveTargets(root: string, { mounts }: RunMounts): ContainerSpec['mounts'] {
  return mounts.map((mount) => ({ ...mount, target: toText(resolveBeneath(root, toByteString(mount.target))) }))
}

/** What the build asks for, else the builder's own. */
function limitsOf({ tools, request }: StepScope): ContainerSpec['limits'] {
  const { stepMemoryBytes, stepPids, stepCpus } = tools.limits
  const { memoryBytes, ...others } = request.run.resources
  return { ...others, memoryBytes: memoryBytes ?? stepMemoryBytes, pids: stepPids, cpus: stepCpus }
}
