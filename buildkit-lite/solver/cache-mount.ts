import { chmodSync, chownSync } from 'node:fs'
import { mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { RunMount } from '../plan/plan.ts'
import type { Prepared } from './run-mounts.ts'
import { openScratch } from './scratch.ts'
import { fileNameFor } from './shared-work.ts'
import type { StepScope } from './step-scope.ts'

type CacheMount = Extract<RunMount, { kind: 'cache' }>

/** `--mount=type=cache`: a directory that outlives the build, shared by the builds of one scope. */
export async function mountCache(
  scope: StepScope,
  stack: AsyncDisposableStack,
  mount: CacheMount,
  signal: AbortSignal,
): Promise<Prepared> {
  const source = await chooseDirectory(scope, stack, mount, signal)
  if (!(await exists(source))) {
    await mkdir(source, { recursive: true })
    chownSync(source, mount.uid, mount.gid)
    chmodSync(source, mount.mode)
  }
  return {
    mount: { kind: 'bind', source, target: mount.target, readonly: mount.readonly },
    pointKind: 'directory',
  }
}

async function chooseDirectory(
  { tools, request }: StepScope,
  stack: AsyncDisposableStack,
  mount: CacheMount,
  signal: AbortSignal,
): Promise<string> {
  const name = fileNameFor(request.cacheScope, mount.id)
  const directory = join(tools.stateDir, 'cache-mounts', name)
  if (mount.sharing === 'locked') stack.use(await tools.sharedWork.lock(`cache ${name}`, signal))
  if (mount.sharing !== 'private') return directory
  const own = tools.sharedWork.tryLock(`cache ${name}`)
  if (!own) return join(stack.use(await openScratch(tools.stateDir)).dir, 'cache')
  stack.use(own)
  return directory
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null)) !== null
}
