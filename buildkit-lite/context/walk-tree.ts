import { createHash } from 'node:crypto'
import type { Stats } from 'node:fs'
import { lstat, readdir, readlink } from 'node:fs/promises'
import { openSys, type Sys } from '#host/sys'
import { cleanPath, isMissing } from '../solver/beneath.ts'
import type { SourceFiles } from '../solver/source-files.ts'
import type { ContextEntry } from './contract.ts'
import { compareBytes } from './path-bytes.ts'

/**
 * Lists a directory tree, sorted by path, following no symlink and with no content ids. Sockets and devices are left
 * out. `prune` spares reading directories.
 */
export async function walkTree(
  files: SourceFiles,
  prune: (path: string) => boolean,
  signal: AbortSignal,
): Promise<ContextEntry[]> {
  const sys = openSys()
  const entries: ContextEntry[] = []
  const open = ['']
  for (let directory = open.pop(); directory !== undefined; directory = open.pop()) {
    signal.throwIfAborted()
    const prefix = directory === '' ? '' : `${directory}/`
    // The dot keeps the directory itself from being followed where it was exchanged for a link.
    const children = await readdir(files.at(`${cleanPath(directory)}/.`), { encoding: 'buffer' })
    const read = children.map((child) => describe({ files, sys }, prefix + child.toString('latin1')))
    for (const entry of await Promise.all(read)) {
      if (!entry) continue
      entries.push(entry)
      if (entry.kind === 'directory' && !prune(entry.path)) open.push(entry.path)
    }
  }
  return entries.sort((a, b) => compareBytes(a.path, b.path))
}

/** Null is what a context has no use for, and what went away since its directory was read. */
async function describe({ files, sys }: { files: SourceFiles; sys: Sys }, path: string): Promise<ContextEntry | null> {
  const onDisk = files.at(cleanPath(path))
  try {
    const stats = await lstat(onDisk)
    const kind = kindOf(stats)
    if (!kind) return null
    const attributes = kind === 'file' || kind === 'directory' ? digestAttributes(sys, onDisk) : null
    return {
      path,
      kind,
      mode: stats.mode & 0o7777,
      contentId: null,
      linkTarget: kind === 'symlink' ? (await readlink(onDisk, { encoding: 'buffer' })).toString('latin1') : null,
      sizeBytes: kind === 'file' ? stats.size : 0,
      ...(attributes === null ? {} : { attributes }),
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
  return child.isFIFO() ? 'fifo' : null
}
