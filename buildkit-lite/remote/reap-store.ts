import { readdir, rm, rmdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** What was used so lately may be in use. */
const IN_USE_MS = 60 * 60_000

interface StoredFile {
  path: string
  sizeBytes: number
  usedAtMs: number
}

/**
 * Keeps a directory of directories of files below a size: what was used longest ago goes first, and leftovers of dead
 * processes go with it. What was used within the last hour stays in any case.
 */
export async function reapStore(root: string, maxBytes: number): Promise<void> {
  const nowMs = Date.now()
  const files = (await listFiles(root)).sort((a, b) => a.usedAtMs - b.usedAtMs)
  let sizeBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0)
  for (const file of files) {
    if (sizeBytes <= maxBytes || file.usedAtMs > nowMs - IN_USE_MS) break
    await rm(file.path, { force: true })
    sizeBytes -= file.sizeBytes
  }
  for (const name of await readdir(root).catch(() => [])) await removeEmpty(join(root, name))
}

async function listFiles(root: string): Promise<StoredFile[]> {
  const entries = await readdir(root, { withFileTypes: true, recursive: true }).catch(() => [])
  const files: StoredFile[] = []
  for (const entry of entries.filter((one) => one.isFile())) {
    const path = join(entry.parentPath, entry.name)
    // Another build may be at it, too.
    const stats = await stat(path).catch(() => null)
    if (stats) files.push({ path, sizeBytes: stats.size, usedAtMs: stats.mtimeMs })
  }
  return files
}

async function removeEmpty(directory: string): Promise<void> {
  await rmdir(directory).catch(() => {})
}
