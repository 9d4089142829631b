import { readdirSync, type Stats } from 'node:fs'
import type { Sys } from '#host/sys'
import { bytes, lstatOrNull } from './file-entry.ts'

/** https://docs.kernel.org/filesystems/overlayfs.html#whiteouts-and-opaque-directories */
export const OPAQUE_XATTR = 'trusted.overlay.opaque'

/** The node that says "deleted" in an upper directory: a character device 0:0. */
export function isWhiteout(stats: Stats): boolean {
  return stats.isCharacterDevice() && stats.rdev === 0
}

export function isOpaque(sys: Sys, directory: string): boolean {
  return sys.lgetxattr(directory, OPAQUE_XATTR)?.toString('latin1') === 'y'
}

/** What is found under a name in a directory of the lower layers. */
export interface LowerEntry {
  diskPath: string
  stats: Stats
  /** For a directory: the view into it. */
  view: LowerDirectory
}

/** One directory of the merged lower layers, without a mount: the directories that make it up, top-most first. */
export class LowerDirectory {
  readonly #sys: Sys
  readonly #directories: readonly string[]

  constructor(sys: Sys, directories: readonly string[]) {
    this.#sys = sys
    this.#directories = directories
  }

  /** What the name shows; null where it shows nothing. */
  find(name: string): LowerEntry | null {
    let found: { diskPath: string; stats: Stats } | null = null
    const below: string[] = []
    for (const directory of this.#directories) {
      const diskPath = `${directory}/${name}`
      const stats = lstatOrNull(diskPath)
      if (stats === null) continue
      // What is no directory hides everything below it; beneath a directory it is hidden itself.
      if (isWhiteout(stats)) break
      if (!stats.isDirectory()) {
        found ??= { diskPath, stats }
        break
      }
      found ??= { diskPath, stats }
      below.push(diskPath)
      if (isOpaque(this.#sys, diskPath)) break
    }
    return found && { ...found, view: new LowerDirectory(this.#sys, below) }
  }

  /** Every name that shows something. */
  names(): Set<string> {
    const shown = new Set<string>()
    const hidden = new Set<string>()
    for (const directory of this.#directories) {
      for (const entry of readdirSync(bytes(directory), { encoding: 'buffer', withFileTypes: true })) {
        const name = entry.name.toString('latin1')
        if (shown.has(name) || hidden.has(name)) continue
        const stats = entry.isCharacterDevice() ? lstatOrNull(`${directory}/${name}`) : null
        if (stats && isWhiteout(stats)) hidden.add(name)
        else shown.add(name)
      }
    }
    return shown
  }
}
