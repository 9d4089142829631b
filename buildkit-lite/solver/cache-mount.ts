import { chmodSync, chownSync } from 'node:fs'
import { mkdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { SlipwayError } from '#domain/errors'
import { cleanPath, resolveIn, toByteString } from './beneath.ts'
import type { CacheMount } from './cache-directories.ts'
import { copyContents } from './copy-entry.ts'
import { createPause } from './copy-task.ts'
import { NO_EXCLUSION } from './file-tree.ts'
import { openScratch } from './scratch.ts'
import type { StepScope } from './step-scope.ts'

/** Appears at its name only when it is complete. */
export async function makeCache(
  scope: StepScope,
  mount: CacheMount,
  directory: string,
  signal: AbortSignal,
): Promise<void> {
  await using scratch = await openScratch(scope.sys, scope.tools.stateDir)
  const fresh = join(scratch.dir, 'fresh')
  await mkdir(fresh)
  if (mount.from) await fillCache(scope, { from: mount.from, source: mount.source ?? '/' }, fresh, signal)
  // Where files are given their directory is the owner.
  if (mount.isOwned || !mount.from) {
    chownSync(fresh, mount.uid, mount.gid)
    chmodSync(fresh, mount.mode)
  }
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
  const entry = tree.lookUp(start)
  if (!entry) throw new SlipwayError('context-invalid', `"${source}": not found`)
  if (entry.kind !== 'directory')
    throw new SlipwayError('context-invalid', `"${source}" is a ${entry.kind}, expected a directory for a cache`)
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
  chownSync(root, entry.owner?.uid ?? 0, entry.owner?.gid ?? 0)
  chmodSync(root, entry.mode)
}

export async function cacheExists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null)) !== null
}

/** Takes a cache away at once, and then its files. */
export async function discardCache(scope: StepScope, directory: string): Promise<void> {
  await using scratch = await openScratch(scope.sys, scope.tools.stateDir)
  await rename(directory, join(scratch.dir, 'old')).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
  await rm(join(scratch.dir, 'old'), { recursive: true, force: true })
}
