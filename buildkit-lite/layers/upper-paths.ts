import { chmodSync, chownSync, mkdirSync, rmSync } from 'node:fs'
import { SlipwayError } from '#domain/errors'
import { S_IF, type Sys } from '#host/sys'
import { bytes, lstatOrNull, readLink, wholeSeconds } from './file-entry.ts'
import { isOpaque, isWhiteout, LowerDirectory, type LowerEntry, OPAQUE_XATTR } from './lower-view.ts'

/** A directory of the tree that is being unpacked: it exists in the upper directory. */
export interface UpperPlace {
  diskPath: string
  /** What the layers below show here; nothing where the directory hides them. */
  lower: LowerDirectory
}

/** As the kernel's own limit (ELOOP). */
const MAX_SYMLINKS = 40

/**
 * Finds the places that paths of an archive mean in an overlay's upper directory. Symbolic links of this layer and of
 * those below are followed as if the tree were the root; nothing leads out of it. Directories that exist only below are
 * copied up, as the kernel does.
 */
export class UpperPaths {
  readonly #sys: Sys
  readonly #root: UpperPlace
  readonly #known = new Map<string, UpperPlace>()
  /** Told of directories whose time must be set again at the end. */
  readonly #onCopyUp: (diskPath: string, mtimeS: number) => void

  constructor(
    sys: Sys,
    tree: { upperDir: string; lowerDirs: readonly string[] },
    onCopyUp: (diskPath: string, mtimeS: number) => void,
  ) {
    this.#sys = sys
    this.#root = { diskPath: tree.upperDir, lower: new LowerDirectory(sys, tree.lowerDirs) }
    this.#onCopyUp = onCopyUp
  }

  /** The directory, made where it is missing. */
  directory(parts: readonly string[]): UpperPlace {
    const key = parts.join('/')
    const known = this.#known.get(key)
    if (known) return known
    const place = this.#walk(parts)
    this.#known.set(key, place)
    return place
  }

  /** Removes what this layer has put there so far. True where there was something. */
  remove(diskPath: string): boolean {
    if (lstatOrNull(diskPath) === null) return false
    this.#known.clear()
    rmSync(bytes(diskPath), { recursive: true, force: true })
    return true
  }

  /** Hides what the layers below have in this directory. */
  makeOpaque(diskPath: string): void {
    this.#known.clear()
    if (diskPath !== this.#root.diskPath) {
      this.#sys.lsetxattr(diskPath, OPAQUE_XATTR, Buffer.from('y'))
      return
    }
    // The root of an overlay merges whatever its attributes say.
    for (const name of this.#root.lower.names()) this.whiteOut(this.#root, name)
  }

  /** Hides a name of the layers below. What this layer has put there stays, but shows nothing of theirs. */
  whiteOut(parent: UpperPlace, name: string): void {
    const diskPath = `${parent.diskPath}/${name}`
    const lower = parent.lower.find(name)
    if (lower === null) return
    const own = lstatOrNull(diskPath)
    if (own === null) this.#sys.mknod(diskPath, S_IF.CHR, 0)
    else if (own.isDirectory()) this.makeOpaque(diskPath)
    this.#known.clear()
  }

  #walk(parts: readonly string[]): UpperPlace {
    const stack = [this.#root]
    const left = parts.toReversed()
    let symlinks = 0
    for (let part = left.pop(); part !== undefined; part = left.pop()) {
      if (part === '' || part === '.') continue
      if (part === '..') {
        if (stack.length > 1) stack.pop()
        continue
      }
      const step = this.#enter(stack.at(-1) ?? this.#root, part)
      if (typeof step !== 'string') {
        stack.push(step)
        continue
      }
      if (++symlinks > MAX_SYMLINKS) {
        throw new SlipwayError(
          'invalid',
          `The archive's path ${parts.join('/')} has more than ${MAX_SYMLINKS} symbolic links`,
        )
      }
      if (step.startsWith('/')) stack.splice(1)
      left.push(...step.split('/').toReversed())
    }
    return stack.at(-1) ?? this.#root
  }

  /** The directory of that name, or the text of a symbolic link. */
  #enter(parent: UpperPlace, name: string): UpperPlace | string {
    const diskPath = `${parent.diskPath}/${name}`
    const own = lstatOrNull(diskPath)
    if (own === null) return this.#enterLower(parent.lower.find(name), diskPath)
    if (own.isSymbolicLink()) return readLink(diskPath)
    if (isWhiteout(own)) {
      this.remove(diskPath)
      mkdirSync(bytes(diskPath), 0o755)
      this.makeOpaque(diskPath)
      return { diskPath, lower: this.#emptyView() }
    }
    if (!own.isDirectory()) throw notDirectory(diskPath)
    const lower = isOpaque(this.#sys, diskPath) ? null : parent.lower.find(name)
    return { diskPath, lower: lower?.view ?? this.#emptyView() }
  }

  #enterLower(lower: LowerEntry | null, diskPath: string): UpperPlace | string {
    if (lower?.stats.isSymbolicLink()) return readLink(lower.diskPath)
    if (lower && !lower.stats.isDirectory()) throw notDirectory(lower.diskPath)
    mkdirSync(bytes(diskPath), 0o755)
    if (lower) {
      chownSync(bytes(diskPath), lower.stats.uid, lower.stats.gid)
      this.#onCopyUp(diskPath, wholeSeconds(lower.stats))
    }
    chmodSync(bytes(diskPath), lower ? lower.stats.mode & 0o7777 : 0o755)
    return { diskPath, lower: lower?.view ?? this.#emptyView() }
  }

  #emptyView(): LowerDirectory {
    return new LowerDirectory(this.#sys, [])
  }
}

function notDirectory(path: string): SlipwayError {
  return new SlipwayError('invalid', `The archive has files beneath ${path}, which is not a directory`)
}
