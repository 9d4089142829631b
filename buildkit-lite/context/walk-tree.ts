import type { Dirent } from 'node:fs'
import { lstat, readdir, readlink } from 'node:fs/promises'
import type { ContextEntry } from './contract.ts'
import { compareBytes } from './path-bytes.ts'

/** A path beneath a root, as the system takes it: names are bytes. */
export function pathOnDisk(rootDir: string, path: string): Buffer {
  return Buffer.concat([Buffer.from(rootDir), Buffer.from(path === '' ? '' : `/${path}`, 'latin1')])
}

/**
 * Lists a directory tree, sorted by path, following no symlink and with no content ids. Sockets and devices are left
 * out. `prune` spares reading directories.
 */
export async function walkTree(
  rootDir: string,
  prune: (path: string) => boolean,
  signal: AbortSignal,
): Promise<ContextEntry[]> {
  const entries: ContextEntry[] = []
  const open = ['']
  for (let directory = open.pop(); directory !== undefined; directory = open.pop()) {
    signal.throwIfAborted()
    const prefix = directory === '' ? '' : `${directory}/`
    const children = await readdir(pathOnDisk(rootDir, directory), { withFileTypes: true, encoding: 'buffer' })
    const read = children.map((child) => describe(rootDir, prefix + child.name.toString('latin1'), child))
    for (const entry of await Promise.all(read)) {
      if (!entry) continue
      entries.push(entry)
      if (entry.kind === 'directory' && !prune(entry.path)) open.push(entry.path)
    }
  }
  return entries.sort((a, b) => compareBytes(a.path, b.path))
}

async function describe(rootDir: string, path: string, child: Dirent<Buffer>): Promise<ContextEntry | null> {
  const kind = kindOf(child)
  if (!kind) return null
  const onDisk = pathOnDisk(rootDir, path)
  const stats = await lstat(onDisk)
  return {
    path,
    kind,
    mode: stats.mode & 0o7777,
    contentId: null,
    linkTarget: kind === 'symlink' ? (await readlink(onDisk, { encoding: 'buffer' })).toString('latin1') : null,
    sizeBytes: kind === 'file' ? stats.size : 0,
  }
}

function kindOf(child: Dirent<Buffer>): ContextEntry['kind'] | null {
  if (child.isFile()) return 'file'
  if (child.isDirectory()) return 'directory'
  if (child.isSymbolicLink()) return 'symlink'
  return child.isFIFO() ? 'fifo' : null
}
