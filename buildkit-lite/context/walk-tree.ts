import { createHash } from 'node:crypto'
import { lstatSync, readdirSync, readlinkSync, type Stats } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { openSys, type Sys } from '#host/sys'
import { cleanPath, isMissing } from '../solver/beneath.ts'
import { type SourceFiles, versionOf } from '../solver/source-files.ts'
import type { ContextEntry } from './contract.ts'
import { compareBytes } from './path-bytes.ts'

/** What is known of a file of this path and version without reading it; null for nothing. */
export interface FindKnown {
  (path: string, version: string): { contentId: string; attributes: string | null } | null
}

/** Other work of the process runs after so many. */
const ENTRIES_PER_TURN = 256

/**
 * Lists a directory tree, sorted by path, following no symlink, with content ids of what is `known` only. Devices are
 * left out. `prune` spares reading directories.
 */
export async function walkTree(
  files: SourceFiles,
  { prune, known }: { prune: (path: string) => boolean; known: FindKnown },
  signal: AbortSignal,
): Promise<ContextEntry[]> {
  const sys = openSys()
  const entries: ContextEntry[] = []
  const open = ['']
  let count = 0
  for (let directory = open.pop(); directory !== undefined; directory = open.pop()) {
    const prefix = directory === '' ? '' : `${directory}/`
    // The dot keeps the directory itself from being followed where it was exchanged for a link.
    const children = readdirSync(files.at(`${cleanPath(directory)}/.`), { encoding: 'latin1' })
    for (const child of children) {
      if (++count % ENTRIES_PER_TURN === 0) await nextTurn()
      signal.throwIfAborted()
      const entry = describe({ files, sys, known }, prefix + child)
      if (!entry) continue
      entries.push(entry)
      if (entry.kind === 'directory' && !prune(entry.path)) open.push(entry.path)
    }
  }
  return entries.sort((a, b) => compareBytes(a.path, b.path))
}

interface Walk {
  files: SourceFiles
  sys: Sys
  known: FindKnown
}

/** Null is what a context has no use for, and what went away since its directory was read. */
function describe({ files, sys, known }: Walk, path: string): ContextEntry | null {
  const onDisk = files.at(`/${path}`)
  try {
    const stats = lstatSync(onDisk)
    const kind = kindOf(stats)
    if (!kind) return null
    const version = kind === 'file' ? versionOf(stats) : null
    const found = version === null ? null : known(path, version)
    const hasAttributes = kind === 'file' || kind === 'directory'
    const attributes = found ? found.attributes : hasAttributes ? digestAttributes(sys, onDisk) : null
    return {
      path,
      kind,
      mode: stats.mode & 0o7777,
      contentId: found?.contentId ?? null,
      linkTarget: kind === 'symlink' ? readlinkSync(onDisk, { encoding: 'buffer' }).toString('latin1') : null,
      sizeBytes: kind === 'file' ? stats.size : 0,
      ...(attributes === null ? {} : { attributes }),
      ...(found && version !== null ? { version } : {}),
    }
  } catch (error) {
    if (isGone(error)) return null
    throw error
  }
}

/** EINVAL is what readlink(2) says of something that is no link any more. */
function isGone(error: unknown): boolean {
  return isMissing(error) || (error as NodeJS.ErrnoException).code === 'EINVAL'
}

/** What users and `setcap` attach to a file; null for nothing. Programs would be too slow to ask for each file. */
export function digestAttributes(sys: Sys, onDisk: Buffer): string | null {
  if (sys.via !== 'ffi') return null
  const names = sys.llistxattr(onDisk).filter((name) => name.startsWith('user.') || name === 'security.capability')
  if (names.length === 0) return null
  const hash = createHash('sha256')
  for (const name of names.sort())
    hash
      .update(`${name}\0`)
      .update(sys.lgetxattr(onDisk, name) ?? '')
      .update('\0')
  return `sha256:${hash.digest('hex')}`
}

function kindOf(child: Stats): ContextEntry['kind'] | null {
  if (child.isFile()) return 'file'
  if (child.isDirectory()) return 'directory'
  if (child.isSymbolicLink()) return 'symlink'
  if (child.isSocket()) return 'socket'
  return child.isFIFO() ? 'fifo' : null
}
