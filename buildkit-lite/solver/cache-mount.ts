import { chmodSync, chownSync } from 'node:fs'
import { mkdir, rename, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { RunMount } from '../plan/plan.ts'
import { cleanPath, resolveIn, toByteString } from './beneath.ts'
import { copyContents } from './copy-entry.ts'
import { createPause } from './copy-task.ts'
import { NO_EXCLUSION } from './file-tree.ts'
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
  const make = async (signal: AbortSignal): Promise<void> => {
    if (!(await exists(source))) await makeCache(scope, mount, source, signal)
  }
  await scope.tools.sharedWork.share(`cache directory ${source}`, make, signal)
  return {
    mount: { kind: 'bind', source, target: mount.target, readonly: mount.readonly },
    pointKind: 'directory',
  }
}

async function chooseDirectory(
  { tools, request, sys }: StepScope,
  stack: AsyncDisposableStack,
  mount: CacheMount,
  signal: AbortSignal,
): Promise<string> {
  const name = fileNameFor(request.cacheScope, mount.id)
  const directory = join(tools.stateDir, 'cache-mounts', name)
  if (mount.sharing === 'locked') stack.use(await tools.sharedWork.lock(`cache ${name}`, signal))
  if (mount.sharing !== 'private') return directory
  const own = tools.sharedWork.tryLock(`cache ${name}`)
  if (!own) return join(stack.use(await openScratch(sys, tools.stateDir)).dir, 'cache')
  stack.use(own)
  return directory
}

/** Appears at its name only when it is complete. */
async function makeCache(scope: StepScope, mount: CacheMount, directory: string, signal: AbortSignal): Promise<void> {
  await using scratch = await openScratch(scope.sys, scope.tools.stateDir)
  const fresh = join(scratch.dir, 'fresh')
  await mkdir(fresh)
  if (mount.from) await fillCache(scope, { from: mount.from, source: mount.source ?? '/' }, fresh, signal)
  chownSync(fresh, mount.uid, mount.gid)
  chmodSync(fresh, mount.mode)
  await mkdir(dirname(directory), { recursive: true })
  await rename(fresh, directory)
}

/** Links in the source are followed inside its own root. */
async function fillCache(
  scope: StepScope,
  { from, source }: Required<Pick<CacheMount, 'from' | 'source'>>,
  root: string,
  signal: AbortSignal,
): Promise<void> {
  await using opened = await scope.originOf(from).open(signal)
  const { tree, files } = opened
  const start = resolveIn((inner) => tree.lookUp(inner), cleanPath(toByteString(source)))
  const task = {
    sys: scope.sys,
    root,
    tree,
    files,
    keepOwner: from.kind === 'step',
    owner: null,
    mode: null,
    exclusion: NO_EXCLUSION,
    hardLinks: new Map<string, string>(),
    pause: createPause(signal),
  }
  await copyContents(task, start, '/')
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null)) !== null
}
