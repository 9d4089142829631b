import { readdirSync, readlinkSync } from 'node:fs'
import type { ContextEntry } from '../context/contract.ts'
import { cleanPath, type InnerPath, joinInner, onDisk, statBeneath } from './beneath.ts'

type EntryKind = 'file' | 'directory' | 'symlink' | 'fifo' | 'device' | 'socket'

export interface TreeEntry {
  kind: EntryKind
  /** Permission bits with set-user-id, set-group-id and sticky. */
  mode: number
  linkTarget: string | null
  /** Content address of a file where the tree knows it without reading. */
  contentId: string | null
  /** Owner, where copies keep it; null means root. */
  owner: { uid: number; gid: number } | null
  /** Digest of the extended attributes that count; absent for none. */
  attributes?: string
  /** What the file was when its content was read for `contentId`. */
  version?: string
}

/** A tree of files to select from, whether it is on disk or only listed. Paths are resolved; nothing is followed. */
export interface FileTree {
  lookUp(path: InnerPath): TreeEntry | null
  /** Names in a directory, sorted; none for anything else. */
  names(path: InnerPath): readonly string[]
}

const ROOT: TreeEntry = { kind: 'directory', mode: 0o755, linkTarget: null, contentId: null, owner: null }

/** The tree of a build context, from its list alone. */
export function treeOfEntries(entries: readonly ContextEntry[]): FileTree {
  const byPath = new Map<InnerPath, TreeEntry>([['/', ROOT]])
  const children = new Map<InnerPath, Set<string>>()
  const addName = (path: InnerPath): void => {
    const slash = path.lastIndexOf('/')
    const parent = path.slice(0, slash) || '/'
    const names = children.get(parent)
    if (names) {
      names.add(path.slice(slash + 1))
      return
    }
    children.set(parent, new Set([path.slice(slash + 1)]))
    if (parent === '/') return
    // A directory that no entry names, such as the parent of a re-included file.
    if (!byPath.has(parent)) byPath.set(parent, ROOT)
    addName(parent)
  }
  for (const entry of entries) {
    const path = cleanPath(entry.path)
    const { kind, mode, linkTarget, contentId, attributes, version } = entry
    const more = { ...(attributes === undefined ? {} : { attributes }), ...(version === undefined ? {} : { version }) }
    byPath.set(path, { kind, mode, linkTarget, contentId, owner: null, ...more })
    addName(path)
  }
  return {
    lookUp: (path) => byPath.get(path) ?? null,
    names: (path) => [...(children.get(path) ?? [])].sort(),
  }
}

/** A tree with another one as a directory of its root. */
export function joinTrees(tree: FileTree, name: string, inner: FileTree): FileTree {
  const place = joinInner('/', name)
  const innerPath = (path: InnerPath): InnerPath | null =>
    path === place ? '/' : path.startsWith(`${place}/`) ? path.slice(place.length) : null
  return {
    lookUp: (path) => {
      const inside = innerPath(path)
      return inside === null ? tree.lookUp(path) : inner.lookUp(inside)
    },
    names: (path) => {
      const inside = innerPath(path)
      if (inside !== null) return inner.names(inside)
      return path === '/' ? [...tree.names('/').filter((other) => other !== name), name].sort() : tree.names(path)
    },
  }
}

/** The tree of a mounted root file system; owners count, as copies from a stage keep them. */
export function treeOnDisk(root: string): FileTree {
  return {
    lookUp: (path) => entryOnDisk(root, path),
    names: (path) =>
      statBeneath(root, path)?.isDirectory() ? readdirSync(onDisk(root, path), { encoding: 'latin1' }).sort() : [],
  }
}

function entryOnDisk(root: string, path: InnerPath): TreeEntry | null {
  const stats = statBeneath(root, path)
  if (!stats) return null
  const kind = stats.isFile()
    ? 'file'
    : stats.isDirectory()
      ? 'directory'
      : stats.isSymbolicLink()
        ? 'symlink'
        : stats.isFIFO()
          ? 'fifo'
          : stats.isSocket()
            ? 'socket'
            : 'device'
  const linkTarget = kind === 'symlink' ? readlinkSync(onDisk(root, path), { encoding: 'latin1' }) : null
  const owner = { uid: stats.uid, gid: stats.gid }
  return { kind, mode: stats.mode & 0o7777, linkTarget, contentId: null, owner }
}

export interface Visited {
  /** Relative to the start, `/`-separated; empty for the start itself. */
  relative: string
  path: InnerPath
  entry: TreeEntry
}

/** Everything below `start`, parents first, without what `isExcluded` names. */
export function* walk(tree: FileTree, start: InnerPath, exclusion: Exclusion): Generator<Visited> {
  for (const name of tree.names(start)) yield* visit(tree, joinInner(start, name), name, exclusion)
}

/** Which paths to leave out. Where it `canReinclude`, an excluded directory is still searched. */
export interface Exclusion {
  /** By the path relative to the start of the walk, and the one in the tree. */
  isExcluded: (relative: string, path: InnerPath) => boolean
  canReinclude: boolean
}

export const NO_EXCLUSION: Exclusion = { isExcluded: () => false, canReinclude: false }

function* visit(tree: FileTree, path: InnerPath, relative: string, exclusion: Exclusion): Generator<Visited> {
  const entry = tree.lookUp(path)
  if (!entry) return
  let isPending = exclusion.isExcluded(relative, path)
  if (isPending && (entry.kind !== 'directory' || !exclusion.canReinclude)) return
  if (!isPending) yield { relative, path, entry }
  if (entry.kind !== 'directory') return
  for (const name of tree.names(path)) {
    for (const child of visit(tree, joinInner(path, name), `${relative}/${name}`, exclusion)) {
      // The parents of a file that was included again are kept.
      if (isPending) yield { relative, path, entry }
      isPending = false
      yield child
    }
  }
}
