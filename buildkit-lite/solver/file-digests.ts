import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import type { Sys } from '#host/sys'
import { digestAttributes } from '../context/walk-tree.ts'
import type { KeyComponent } from '../contract.ts'
import { type InnerPath, onDisk, toText } from './beneath.ts'
import { type Exclusion, type FileTree, type TreeEntry, walk } from './file-tree.ts'
import { INPUT_FILE } from './miss-reason.ts'
import type { Selected } from './select-sources.ts'
import { digestOf } from './step-key.ts'

/** Beyond this many files, a step's key is kept by top directory instead of by file. */
const MAX_COMPONENTS = 200

export interface DigestSource {
  tree: FileTree
  /** Reads a file whose content address the tree does not know; null where it knows all. */
  rootDir: string | null
  /** Asks files on disk for their extended attributes. */
  sys?: Sys
  /** Whether owners end up in the copy. */
  countOwners: boolean
  exclusion: Exclusion
}

/**
 * What selected files mean to a key: relative name, kind, permissions, link target and content, and never times.
 * Ids of git blobs and hashes of file contents are different schemes and never meet.
 */
export async function digestFiles(
  source: DigestSource,
  selected: readonly Selected[],
  signal: AbortSignal,
): Promise<KeyComponent[]> {
  const files: KeyComponent[] = []
  const add = async (name: string, path: InnerPath, entry: TreeEntry): Promise<void> => {
    files.push({ name: toText(name), digest: digestOf([name, ...(await describe(source, path, entry, signal))]) })
  }
  const named = new Set<InnerPath>()
  for (const one of selected) {
    for (const parent of one.parents) {
      const entry = named.has(parent) ? null : source.tree.lookUp(parent)
      if (entry) await add(parent.slice(1), parent, entry)
      named.add(parent)
    }
    const prefix = one.keepsParents ? one.path.slice(1) : one.name
    // Of a directory that is named itself the content is copied; its name and mode tell two of them apart.
    if (one.entry.kind !== 'directory' || one.keepsParents) await add(prefix, one.path, one.entry)
    else files.push({ name: toText(prefix), digest: digestOf([prefix, 'directory', one.entry.mode]) })
    if (one.entry.kind !== 'directory' || one.keepsParents) continue
    for (const { relative, path, entry } of walk(source.tree, one.path, source.exclusion)) {
      signal.throwIfAborted()
      await add(prefix === '' ? relative : `${prefix}/${relative}`, path, entry)
    }
  }
  return toComponents(files)
}

async function describe(source: DigestSource, path: InnerPath, entry: TreeEntry, signal: AbortSignal) {
  const owner = source.countOwners ? entry.owner : null
  const base = [entry.kind, entry.mode, entry.linkTarget, owner, await contentOf(source, path, entry, signal)]
  const attributes = entry.attributes ?? attributesOnDisk(source, path, entry)
  return attributes === null ? base : [...base, attributes]
}

/** A tree on disk is listed without them. */
function attributesOnDisk({ rootDir, sys }: DigestSource, path: InnerPath, { kind }: TreeEntry): string | null {
  if (rootDir === null || sys === undefined || (kind !== 'file' && kind !== 'directory')) return null
  return digestAttributes(sys, onDisk(rootDir, path))
}

async function contentOf(
  source: DigestSource,
  path: InnerPath,
  entry: TreeEntry,
  signal: AbortSignal,
): Promise<string | null> {
  if (entry.kind !== 'file') return null
  if (entry.contentId !== null) return entry.contentId.includes(':') ? entry.contentId : `git:${entry.contentId}`
  const hash = createHash('sha256')
  await pipeline(createReadStream(onDisk(source.rootDir ?? '', path)), hash, { signal })
  return `sha256:${hash.digest('hex')}`
}

function toComponents(files: readonly KeyComponent[]): KeyComponent[] {
  if (files.length <= MAX_COMPONENTS) return files.map(({ name, digest }) => ({ name: INPUT_FILE + name, digest }))
  const groups = Map.groupBy(files, ({ name }) => name.split('/', 2).join('/'))
  const grouped = groups.size <= MAX_COMPONENTS ? groups : new Map([['…', [...files]]])
  return [...grouped].map(([name, members]) => ({
    name: INPUT_FILE + (members.length > 1 && name !== '…' ? `${name}/…` : name),
    digest: digestOf(members.map((member) => member.digest)),
  }))
}
