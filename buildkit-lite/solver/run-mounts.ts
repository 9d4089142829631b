import { chmodSync, chownSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SlipwayError } from '#domain/errors'
import type { ContainerMount } from '#sandbox'
import type { RunMount, RunOperation } from '../plan/plan.ts'
import { mountBind } from './bind-mount.ts'
import { type CacheMount, openCaches } from './cache-directories.ts'
import type { MountPoint } from './mount-points.ts'
import { openScratch, openSecretScratch } from './scratch.ts'
import { mountSsh } from './ssh-mount.ts'
import type { StepScope } from './step-scope.ts'

/** Everything a RUN gets besides its root, until disposed. */
export interface RunMounts extends AsyncDisposable {
  mounts: readonly ContainerMount[]
  /** What has to exist in the root for them. */
  points: readonly MountPoint[]
  /** `NAME=value` of secrets that are asked for as variables. */
  secretEnv: readonly string[]
}

/** One mount as prepared. */
export interface Prepared {
  mount: ContainerMount
  pointKind: MountPoint['kind']
  /** Of its mount point, where one has to be made. */
  mode?: number
}

/** The sandbox mounts these by itself. */
const SYSTEM_POINTS: readonly MountPoint[] = [
  { target: '/proc', kind: 'directory' },
  { target: '/sys', kind: 'directory' },
  { target: '/dev', kind: 'directory' },
  { target: '/etc/resolv.conf', kind: 'file' },
  { target: '/etc/hosts', kind: 'file' },
]
const TMPFS_MODE = 0o1777

/** `more` are mounts that the step gets besides those of its plan: they stand last. */
export async function prepareMounts(
  scope: StepScope,
  run: RunOperation,
  { signal, more }: { signal: AbortSignal; more: readonly Prepared[] },
): Promise<RunMounts> {
  await using stack = new AsyncDisposableStack()
  const caches = await openCaches(scope, run.mounts, stack, signal)
  // The plan has parents before children already.
  const planned: Prepared[] = []
  for (const mount of run.mounts) {
    const one = await prepareMount({ scope, stack, caches }, mount, signal)
    if (one) planned.push(one)
  }
  const prepared = [...planned, ...more]
  const points = [...SYSTEM_POINTS, ...prepared.map(pointOf)]
  const own = await prepareFiles(scope, run, stack)
  const disposer = stack.move()
  return {
    mounts: [...own, ...prepared.map((one) => one.mount)],
    points,
    secretEnv: run.mounts.flatMap((mount) => secretVariable(scope, mount)),
    [Symbol.asyncDispose]: () => disposer.disposeAsync(),
  }
}

function pointOf({ mount, pointKind, mode }: Prepared): MountPoint {
  return { target: mount.target, kind: pointKind, ...(mode === undefined ? {} : { mode }) }
}

interface Preparing {
  scope: StepScope
  stack: AsyncDisposableStack
  caches: ReadonlyMap<RunMount, string>
}

async function prepareMount(
  { scope, stack, caches }: Preparing,
  mount: RunMount,
  signal: AbortSignal,
): Promise<Prepared | null> {
  switch (mount.kind) {
    case 'bind':
      return await mountBind(scope, stack, mount, signal)
    case 'cache':
      return showCache(mount, caches.get(mount))
    case 'tmpfs': {
      const { target, sizeBytes } = mount
      return { mount: { kind: 'tmpfs', target, sizeBytes, mode: TMPFS_MODE }, pointKind: 'directory', mode: TMPFS_MODE }
    }
    case 'ssh':
      return await mountSsh(scope, stack, mount)
    case 'secret':
      return await mountSecret(scope, stack, mount)
    default:
      return mount satisfies never
  }
}

function showCache({ target, readonly }: CacheMount, source: string | undefined): Prepared {
  if (source === undefined) throw new SlipwayError('internal', `The cache at ${target} was not opened`)
  return { mount: { kind: 'bind', source, target, readonly }, pointKind: 'directory' }
}

async function mountSecret(
  { request, sys }: StepScope,
  stack: AsyncDisposableStack,
  mount: Extract<RunMount, { kind: 'secret' }>,
): Promise<Prepared | null> {
  const value = secretOf(request, mount.id)
  if (!value && mount.required) throw new SlipwayError('step-failed', `secret ${mount.id}: not found`)
  if (!value || mount.target === null) return null
  const scratch = stack.use(await openSecretScratch(sys))
  const source = join(scratch.dir, 'secret')
  await writeFile(source, value, { mode: 0o400 })
  chownSync(source, mount.uid, mount.gid)
  chmodSync(source, mount.mode)
  return { mount: { kind: 'bind', source, target: mount.target, readonly: true, inert: true }, pointKind: 'file' }
}

function secretVariable({ request }: StepScope, mount: RunMount): string[] {
  if (mount.kind !== 'secret' || mount.env === null) return []
  const value = secretOf(request, mount.id)
  return value ? [`${mount.env}=${value.toString('utf8')}`] : []
}

function secretOf({ secrets }: StepScope['request'], id: string): Buffer | null {
  return Object.hasOwn(secrets, id) ? (secrets[id] ?? null) : null
}

/** The scripts that start with `#!`. */
async function prepareFiles(
  { tools, sys }: StepScope,
  run: RunOperation,
  stack: AsyncDisposableStack,
): Promise<ContainerMount[]> {
  if (run.scripts.length === 0) return []
  const { dir } = stack.use(await openScratch(sys, tools.stateDir))
  const pipes = join(dir, 'pipes')
  await mkdir(pipes, { mode: 0o755 })
  for (const { name, content } of run.scripts) {
    await writeFile(join(pipes, name), content)
    chmodSync(join(pipes, name), 0o755)
  }
  // Below /dev, a file system of the container's own: nothing of it gets into the layer.
  return [{ kind: 'bind', source: pipes, target: '/dev/pipes', readonly: true }]
}
