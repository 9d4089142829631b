import type { Readable } from 'node:stream'
import { SlipwayError } from '#domain/errors'
import type { ContainerSpec, NetworkNamespace } from '#sandbox'
import type { RunOperation } from '../plan/plan.ts'
import { readAccounts, resolveRunUser } from './accounts.ts'
import { cleanPath, resolveBeneath, toByteString, toText } from './beneath.ts'
import { makeDirectories } from './copy-task.ts'
import { makeMountPoints } from './mount-points.ts'
import { stepEnvironment } from './run-environment.ts'
import { prepareMounts, type RunMounts } from './run-mounts.ts'
import type { StepScope } from './step-scope.ts'

/** A program of the user's that did not end well. `message` is what `process "…"` is told to have done. */
export class ProcessError extends SlipwayError {
  readonly exitCode: number | null

  constructor(kind: 'step-failed' | 'out-of-memory', run: RunOperation, how: string, exitCode: number | null) {
    super(kind, `process "${run.args.join(' ')}" did not complete successfully: ${how}`)
    this.exitCode = exitCode
  }
}

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
  await using mounts = await prepareMounts(scope, run, signal)
  using _points = makeMountPoints(scope.sys, root, mounts.points)
  await using network = await openNetwork(scope, run, signal)
  const spec: ContainerSpec = {
    rootDir: root,
    args: run.args,
    env: stepEnvironment(run.env, mounts.secretEnv, user.home),
    workingDir: toText(workingDir),
    user,
    hostname: run.hostname,
    network: network.mode,
    mounts: resolveTargets(root, mounts),
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
  await using container = await scope.tools.containers.start(spec, signal)
  const [exit] = await Promise.all([
    container.exited,
    sendOutput(scope, 'stdout', container.stdout),
    sendOutput(scope, 'stderr', container.stderr),
  ])
  signal.throwIfAborted()
  if (exit.code === 0) return
  const code = exit.code ?? 137
  if (exit.usage.oomKills > 0) {
    const limit = spec.limits.memoryBytes === null ? '' : ` of ${Math.round(spec.limits.memoryBytes / 1024 ** 2)} MiB`
    throw new ProcessError('out-of-memory', run, `exit code: ${code}: it reached the memory limit${limit}`, code)
  }
  throw new ProcessError('step-failed', run, `exit code: ${code}`, code)
}

/** Each piece is awaited, so that a slow listener slows the program instead of filling memory. */
async function sendOutput({ tools, step }: StepScope, stream: 'stdout' | 'stderr', output: Readable): Promise<void> {
  for await (const bytes of output) await tools.report({ kind: 'output', step, stream, bytes: bytes as Buffer })
}

function findUser(run: RunOperation, root: string): ReturnType<typeof resolveRunUser> {
  try {
    return resolveRunUser(run.user, readAccounts(root))
  } catch (error) {
    if (error instanceof SlipwayError) throw new ProcessError('step-failed', run, error.message, null)
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

function limitsOf({ tools }: StepScope): ContainerSpec['limits'] {
  const { stepMemoryBytes, stepPids, stepCpus } = tools.limits
  return { memoryBytes: stepMemoryBytes, pids: stepPids, cpus: stepCpus }
}
