import { join } from 'node:path'
import type { RunMount } from '../plan/plan.ts'
import { openCacheLock } from './cache-locks.ts'
import { cacheExists, discardCache, makeCache } from './cache-mount.ts'
import { mayReuse } from './probe-cache.ts'
import { openScratch } from './scratch.ts'
import { fileNameFor } from './shared-work.ts'
import type { StepScope } from './step-scope.ts'

export type CacheMount = Extract<RunMount, { kind: 'cache' }>

/** A directory, and the mounts of one step that show it. */
interface SharedCache {
  name: string
  mount: CacheMount
  mode: 'exclusive' | 'shared'
}

/**
 * The directory of each cache mount of a step, complete and locked as its `sharing` says until `stack` is disposed.
 * Locks are taken in one order everywhere, so that no two steps wait for each other.
 */
export async function openCaches(
  scope: StepScope,
  mounts: readonly RunMount[],
  stack: AsyncDisposableStack,
  signal: AbortSignal,
): Promise<ReadonlyMap<RunMount, string>> {
  const caches = mounts.filter((mount) => mount.kind === 'cache')
  const directories = new Map<RunMount, string>()
  for (const cache of together(scope, caches)) await openShared(scope, cache, stack, signal)
  for (const mount of caches)
    directories.set(
      mount,
      mount.sharing === 'private'
        ? await openPrivate(scope, mount, stack, signal)
        : directoryOf(scope, nameOf(scope, mount)),
    )
  return directories
}

/** One lock for each directory, the strictest that any of its mounts asks for. */
function together(scope: StepScope, mounts: readonly CacheMount[]): SharedCache[] {
  const caches = new Map<string, SharedCache>()
  for (const mount of mounts.filter(({ sharing }) => sharing !== 'private')) {
    const name = nameOf(scope, mount)
    const isLocked = mount.sharing === 'locked' || caches.get(name)?.mode === 'exclusive'
    caches.set(name, { name, mount, mode: isLocked ? 'exclusive' : 'shared' })
  }
  return [...caches.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
}

async function openShared(
  scope: StepScope,
  { name, mount, mode }: SharedCache,
  stack: AsyncDisposableStack,
  signal: AbortSignal,
): Promise<void> {
  const directory = directoryOf(scope, name)
  for (;;) {
    await using opening = new AsyncDisposableStack()
    const lock = opening.use(await openCacheLock(scope.sys, lockOf(scope, name)))
    // Who is alone with it may make it; who shares it finds it made.
    const isAlone = lock.tryExclusive() || (await waitFor(scope, { mount, mode }, lock, signal))
    if (isAlone) await completeCache(scope, mount, directory, signal)
    else if (!(await cacheExists(directory))) continue
    if (mode === 'shared') lock.share()
    stack.use(opening.move())
    return
  }
}

/** Answers whether the lock is for us alone. */
async function waitFor(
  scope: StepScope,
  { mount, mode }: Pick<SharedCache, 'mount' | 'mode'>,
  ...[lock, signal]: [Awaited<ReturnType<typeof openCacheLock>>, AbortSignal]
): Promise<boolean> {
  if (mode === 'exclusive') await scope.note(`waiting for the cache ${mount.id}, which another step has\n`)
  await lock.wait(mode, signal)
  return mode === 'exclusive'
}

/** The cache if nobody has it, else a directory for this step alone, which is thrown away. */
async function openPrivate(
  scope: StepScope,
  mount: CacheMount,
  stack: AsyncDisposableStack,
  signal: AbortSignal,
): Promise<string> {
  const name = nameOf(scope, mount)
  const lock = stack.use(await openCacheLock(scope.sys, lockOf(scope, name)))
  const isOurs = lock.tryExclusive()
  const directory = isOurs
    ? directoryOf(scope, name)
    : join(stack.use(await openScratch(scope.sys, scope.tools.stateDir)).dir, 'cache')
  await completeCache(scope, mount, directory, signal)
  return directory
}

/** Without the step cache a cache of stated owner or mode is made again, as it is stated. */
async function completeCache(
  scope: StepScope,
  mount: CacheMount,
  directory: string,
  signal: AbortSignal,
): Promise<void> {
  if (mount.isOwned && !mayReuse(scope.request, scope.stage)) await discardCache(scope, directory)
  if (!(await cacheExists(directory))) await makeCache(scope, mount, directory, signal)
}

/** Caches of one id are others where their first files or their stated owners differ. */
function nameOf(scope: StepScope, mount: CacheMount): string {
  const { namespace, isOwned, from, source, mode, uid, gid } = mount
  const owner = isOwned ? [mode, uid, gid] : null
  const files = from ? [from.kind === 'step' ? scope.chainOf(from.fileSystem).id : from.name, source] : null
  const more = namespace || owner || files ? [JSON.stringify([namespace ?? null, owner, files])] : []
  return fileNameFor(scope.request.cacheScope, mount.id, ...more)
}

function directoryOf({ tools }: StepScope, name: string): string {
  return join(tools.stateDir, 'cache-mounts', name)
}

function lockOf({ tools }: StepScope, name: string): string {
  return join(tools.stateDir, 'cache-locks', name)
}
