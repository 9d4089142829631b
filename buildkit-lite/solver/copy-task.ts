import { chmodSync, lchownSync, lutimesSync, mkdirSync, type Stats } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { SlipwayError } from '#domain/errors'
import type { Sys } from '#host/sys'
import type { Owner } from './accounts.ts'
import { type InnerPath, joinInner, onDisk, resolveBeneath, statBeneath, toText } from './beneath.ts'
import { changeMode, type ModeChange } from './chmod.ts'
import type { Exclusion, FileTree } from './file-tree.ts'
import type { SourceFiles } from './source-files.ts'

/** One COPY under way: from a tree on disk into a mounted root that nobody else writes to. */
export interface CopyTask {
  sys: Sys
  root: string
  tree: FileTree
  /** Where the tree's files are on disk. */
  files: SourceFiles
  /** Without `owner`: files keep theirs (from a stage), or belong to root (from a context). */
  keepOwner: boolean
  owner: Owner | null
  mode: ModeChange | null
  exclusion: Exclusion
  /** The time of what is copied, where it is not the files' own. */
  modifiedAtMs?: number
  /** Is told of a file that is not what it was when it was listed; without it, that is an error. */
  onChanged?: (path: InnerPath) => void
  /** First copy of each file that has further names, by device and inode. */
  hardLinks: Map<string, InnerPath>
  /** Lets other work of the process run now and then, and ends the copy when it was cancelled. */
  pause: () => Promise<void>
}

const NEW_DIRECTORY_MODE = 0o755
const ENTRIES_PER_TURN = 128

export function createPause(signal: AbortSignal): () => Promise<void> {
  let count = 0
  return async () => {
    signal.throwIfAborted()
    if (++count % ENTRIES_PER_TURN === 0) await nextTurn()
  }
}

/** Makes a directory and its missing parents; returns where it is with links resolved. Existing ones stay as they are. */
export function makeDirectories(
  task: Pick<CopyTask, 'root' | 'owner' | 'mode'> & { madeAtMs?: number },
  path: string,
): InnerPath {
  const real = resolveBeneath(task.root, path)
  const missing: InnerPath[] = []
  for (let at = real; at !== '/'; at = at.slice(0, at.lastIndexOf('/')) || '/') {
    const stats = statBeneath(task.root, at)
    if (stats?.isDirectory()) break
    if (stats) throw new SlipwayError('step-failed', `mkdir ${toText(at)}: not a directory`)
    missing.unshift(at)
  }
  for (const directory of missing) {
    mkdirSync(onDisk(task.root, directory))
    // Symbolic changes are for what is copied; an octal mode is for every directory that had to be made.
    const mode = task.mode?.kind === 'octal' ? task.mode.mode : NEW_DIRECTORY_MODE
    setAttributes(task.root, directory, { owner: task.owner ?? { uid: 0, gid: 0 }, mode })
  }
  const { madeAtMs } = task
  if (madeAtMs !== undefined) for (const made of missing) setModifiedTime(task.root, made, madeAtMs)
  return real
}

/** The directory that a file of this name goes into, or its own new path. */
export function placeFor(task: CopyTask, destination: string, name: string): InnerPath {
  const real = resolveBeneath(task.root, destination)
  if (destination.endsWith('/') || statBeneath(task.root, real)?.isDirectory())
    return joinInner(makeDirectories(task, destination), name)
  makeDirectories(task, real.slice(0, real.lastIndexOf('/')) || '/')
  return real
}

/** What a copied entry gets from its source and from `--chown` and `--chmod`. */
export function attributesFor(task: CopyTask, source: Stats, mode: number): Attributes {
  const kept = task.keepOwner ? { uid: source.uid, gid: source.gid } : { uid: 0, gid: 0 }
  return {
    owner: task.owner ?? kept,
    mode: task.mode ? changeMode(task.mode, mode, source.isDirectory()) : mode,
    modifiedAtMs: task.modifiedAtMs ?? source.mtimeMs,
  }
}

export interface Attributes {
  owner: Owner
  /** Null for a symbolic link, which has none of its own. */
  mode: number | null
  modifiedAtMs?: number
}

/** Owner first: changing it clears the set-id bits of the mode. */
export function setAttributes(root: string, path: InnerPath, { owner, mode, modifiedAtMs }: Attributes): void {
  const target = onDisk(root, path)
  lchownSync(target, owner.uid, owner.gid)
  if (mode !== null) chmodSync(target, mode)
  if (modifiedAtMs !== undefined) lutimesSync(target, modifiedAtMs / 1000, modifiedAtMs / 1000)
}

export function setModifiedTime(root: string, path: InnerPath, modifiedAtMs: number): void {
  lutimesSync(onDisk(root, path), modifiedAtMs / 1000, modifiedAtMs / 1000)
}
