import { readdirSync, type Stats } from 'node:fs'
import { SlipwayError } from '#domain/errors'
import type { Sys } from '#host/sys'
import { isSameFile } from './compare-files.ts'
import { bytes, fileEntry, InodePaths, kindOfFile, lstat, type TarSource } from './file-entry.ts'
import { isOpaque, isWhiteout, LowerDirectory } from './lower-view.ts'
import { type TarKind, WHITEOUT_PREFIX } from './tar-entry.ts'

const REDIRECT_XATTR = 'trusted.overlay.redirect'

export interface DiffOptions {
  /** An overlay's upper directory; with no lower directories, any directory. Latin1-exact, as all paths here. */
  upperDir: string
  /** Top-most first. */
  lowerDirs: readonly string[]
  /** Later times become this one; infinity keeps all. Seconds since 1970. */
  latestS: number
  warn: (message: string) => void
}

/**
 * The members of the layer that leads from the lower directories to the upper one on top of them, in the order of their
 * names' bytes: what is new or different, with its parent directories, and a whiteout for each name that is gone.
 * Opaque directories become whiteouts of what they hide. What equals the lower file is left out.
 */
export function diffUpper(sys: Sys, options: DiffOptions): Iterable<TarSource> {
  return new UpperDiff(sys, options).walk()
}

/** A directory of the upper tree, with what the lower layers show at the same place. */
interface Place {
  diskPath: string
  /** In the layer; empty for the root. */
  path: string
  lower: LowerDirectory
  /** It or a parent is opaque: what the lower layers have here shows no more, whether marked so or not. */
  hidesLower: boolean
}

class UpperDiff {
  readonly #sys: Sys
  readonly #options: DiffOptions
  readonly #inodes = new InodePaths()
  /** Unchanged directories on the way to what is being looked at; written once something beneath them is. */
  #parents: TarSource[] = []

  constructor(sys: Sys, options: DiffOptions) {
    this.#sys = sys
    this.#options = options
  }

  *walk(): Generator<TarSource> {
    const { upperDir, lowerDirs } = this.#options
    const lower = new LowerDirectory(this.#sys, lowerDirs)
    yield* this.#directory({ diskPath: upperDir, path: '', lower, hidesLower: false })
  }

  *#directory(parent: Place): Generator<TarSource> {
    const here = { ...parent, hidesLower: parent.hidesLower || isOpaque(this.#sys, parent.diskPath) }
    this.#refuseRedirect(here)
    const names = new Set(readdirSync(bytes(here.diskPath), { encoding: 'latin1' }))
    const hidden = here.hidesLower ? [...here.lower.names()].filter((name) => !names.has(name)) : []
    for (const name of [...names, ...hidden].sort()) {
      const path = here.path === '' ? name : `${here.path}/${name}`
      if (!names.has(name)) yield* this.#change(whiteoutOf(here.path, name))
      else if (name.startsWith(WHITEOUT_PREFIX)) {
        this.#options.warn(`${path} is left out of the layer: its name would delete other files`)
      } else yield* this.#child(here, name, path)
    }
  }

  *#child(here: Place, name: string, path: string): Generator<TarSource> {
    const diskPath = `${here.diskPath}/${name}`
    const stats = lstat(diskPath)
    const lower = here.lower.find(name)
    const kind = kindOfFile(stats)
    if (isWhiteout(stats)) {
      if (lower) yield* this.#change(whiteoutOf(here.path, name))
      return
    }
    if (kind === null) return
    const isSame = lower !== null && isSameFile(this.#sys, { diskPath, stats }, lower)
    if (kind === 'directory') {
      const entry = fileEntry(this.#sys, { diskPath, path, stats, kind, latestS: this.#options.latestS })
      const view = lower?.view ?? new LowerDirectory(this.#sys, [])
      if (!isSame) yield* this.#change(entry)
      else this.#parents.push(entry)
      yield* this.#directory({ diskPath, path, lower: view, hidesLower: here.hidesLower })
      if (this.#parents.at(-1) === entry) this.#parents.pop()
    } else if (!isSame) {
      yield* this.#change(this.#file({ diskPath, path, stats, kind }))
    }
  }

  /** Writes the parents that were held back, then the change itself. */
  *#change(entry: TarSource): Generator<TarSource> {
    yield* this.#parents.splice(0)
    yield entry
  }

  #file(file: { diskPath: string; path: string; stats: Stats; kind: TarKind }): TarSource {
    const entry = fileEntry(this.#sys, { ...file, latestS: this.#options.latestS })
    const first = file.stats.nlink > 1 ? this.#inodes.firstPath(file.diskPath, file.path) : null
    return first === null
      ? entry
      : { ...entry, kind: 'hardlink', linkTarget: first, sizeBytes: 0, contentPath: null, xattrs: new Map() }
  }

  /** A renamed directory that overlayfs did not copy: its content is not in the upper directory. */
  #refuseRedirect(here: Place): void {
    if (this.#sys.lgetxattr(here.diskPath, REDIRECT_XATTR) === null) return
    throw new SlipwayError('internal', `${here.diskPath} is a redirect, expected a mount with redirect_dir=off`)
  }
}

/** The member that deletes a name. Its time is fixed: deletions have none of their own. */
function whiteoutOf(directory: string, name: string): TarSource {
  const path = `${directory === '' ? '' : `${directory}/`}${WHITEOUT_PREFIX}${name}`
  return {
    path,
    kind: 'file',
    mode: 0,
    uid: 0,
    gid: 0,
    sizeBytes: 0,
    mtimeS: 0,
    linkTarget: '',
    deviceMajor: 0,
    deviceMinor: 0,
    xattrs: new Map(),
    contentPath: null,
  }
}
