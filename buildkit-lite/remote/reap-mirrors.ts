import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** A repository that nobody asked for in this time is removed. */
const UNUSED_MS = 14 * 24 * 60 * 60_000
/** What was used so lately may be in use. */
const IN_USE_MS = 60 * 60_000
const MAX_MIRRORS = 100

/** Removes repositories that were not used for long, and the oldest where there are many. */
export async function reapMirrors(root: string): Promise<void> {
  const nowMs = Date.now()
  const found = await Promise.all(
    (await readdir(root))
      .filter((name) => name.includes('.git') && !name.endsWith('.lock'))
      .map((name) => describe(join(root, name))),
  )
  const mirrors = found.filter((one) => one !== null).sort((a, b) => b.usedAtMs - a.usedAtMs)
  for (const [index, { path, usedAtMs }] of mirrors.entries()) {
    const isOld = usedAtMs < nowMs - UNUSED_MS
    const isSpare = index >= MAX_MIRRORS && usedAtMs < nowMs - IN_USE_MS
    if (isOld || isSpare) await rm(path, { recursive: true, force: true })
  }
}

async function describe(path: string): Promise<{ path: string; usedAtMs: number } | null> {
  const stats = await stat(path).catch(() => null)
  return stats === null ? null : { path, usedAtMs: stats.mtimeMs }
}
