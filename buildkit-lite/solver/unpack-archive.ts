import {
  closeSync,
  constants,
  ftruncateSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeSync,
} from 'node:fs'
import type { Readable } from 'node:stream'
import { SlipwayError } from '#domain/errors'
import { S_IF, type Sys } from '#host/sys'
import { deviceNumber } from '../layers/file-entry.ts'
import { TarReader, type TarVisitor } from '../layers/read-tar.ts'
import { OPAQUE_WHITEOUT, type TarEntry, WHITEOUT_PREFIX } from '../layers/tar-entry.ts'
import {
  cleanPath,
  type InnerPath,
  joinInner,
  nameOf,
  onDisk,
  parentOf,
  resolveBeneath,
  statBeneath,
  toText,
} from './beneath.ts'
import { type CopyTask, setAttributes } from './copy-task.ts'

/**
 * Unpacks an archive into the directory `to`, which is the root for all that the archive names: nothing leaves it, by
 * `..`, by an absolute name, or through a link.
 */
export async function unpackArchive(
  task: CopyTask,
  archive: { name: string; content: Readable },
  to: InnerPath,
  signal: AbortSignal,
): Promise<void> {
  using unpacker = new Unpacker(task, onDisk(task.root, to).toString('utf8'))
  const reader = new TarReader(unpacker)
  try {
    for await (const chunk of archive.content) {
      await task.pause()
      reader.write(chunk as Buffer)
    }
    reader.end()
  } catch (error) {
    if (signal.aborted) throw signal.reason
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') throw error
    if (error instanceof SlipwayError && error.kind === 'step-failed') throw error
    throw new SlipwayError('step-failed', `cannot unpack ${archive.name}: ${describe(error)}`, { cause: error })
  }
  unpacker.finish()
}

function describe(error: unknown): string {
  // Decompressors say so of a file that breaks off.
  const { code } = error as NodeJS.ErrnoException
  if (code === 'Z_BUF_ERROR') return 'its compressed data breaks off'
  if (code === 'ENAMETOOLONG') return 'a name in it has more than 255 bytes'
  if (code === 'ERR_OUT_OF_RANGE') return 'an owner in it has a number of more than 32 bits'
  return error instanceof Error ? error.message : String(error)
}

const CREATE = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | constants.O_NOFOLLOW
const NEW_DIRECTORY = { owner: { uid: 0, gid: 0 }, mode: 0o755 }

class Unpacker implements TarVisitor, Disposable {
  readonly #sys: Sys
  readonly #owner: CopyTask['owner']
  readonly #root: string
  /** Described at the end, because a directory's time changes with every name made in it. */
  readonly #directories = new Map<InnerPath, TarEntry>()
  readonly #unpacked = new Set<InnerPath>()
  #file: { fd: number; path: InnerPath; entry: TarEntry; at: number } | null = null

  constructor({ sys, owner }: CopyTask, root: string) {
    this.#sys = sys
    this.#owner = owner
    this.#root = root
  }

  entry(entry: TarEntry): void {
    const named = cleanPath(entry.path)
    if (named === '/') return
    const path = joinInner(this.#makeParents(named), nameOf(named))
    if (nameOf(path).startsWith(WHITEOUT_PREFIX)) return this.#whiteOut(path)
    this.#unpacked.add(path)
    this.#create(path, entry)
  }

  content(piece: Buffer): void {
    const file = this.#file
    if (!file) return
    for (let at = 0; at < piece.length; ) at += writeSync(file.fd, piece, at, piece.length - at, file.at + at)
    file.at += piece.length
  }

  hole(bytes: number): void {
    if (!this.#file) return
    this.#file.at += bytes
    ftruncateSync(this.#file.fd, this.#file.at)
  }

  entryEnd(): void {
    const file = this.#file
    if (!file) return
    this[Symbol.dispose]()
    this.#describe(file.path, file.entry)
  }

  finish(): void {
    for (const [path, entry] of [...this.#directories].toReversed()) {
      if (statBeneath(this.#root, path)?.isDirectory()) this.#describe(path, entry)
    }
  }

  [Symbol.dispose](): void {
    if (this.#file) closeSync(this.#file.fd)
    this.#file = null
  }

  /** Links that are there already lead to where they lead in the directory; one that leads nowhere is an error. */
  #makeParents(path: InnerPath): InnerPath {
    let at: InnerPath = '/'
    for (const name of parentOf(path).split('/').filter(Boolean)) {
      const next = joinInner(at, name)
      const real = resolveBeneath(this.#root, next)
      const stats = statBeneath(this.#root, real)
      if (stats?.isDirectory()) {
        at = real
        continue
      }
      if (stats) throw new SlipwayError('step-failed', `mkdir ${toText(next)}: not a directory`)
      if (statBeneath(this.#root, next))
        throw new SlipwayError('step-failed', `open ${toText(path)}: no such file or directory`)
      mkdirSync(onDisk(this.#root, next))
      setAttributes(this.#root, next, NEW_DIRECTORY)
      at = next
    }
    return at
  }

  /** As in a layer: takes away what was there before, not what the archive itself has. */
  #whiteOut(path: InnerPath): void {
    const parent = parentOf(path)
    const hidden = nameOf(path).slice(WHITEOUT_PREFIX.length)
    if (nameOf(path) === OPAQUE_WHITEOUT) {
      for (const name of readdirSync(onDisk(this.#root, parent), { encoding: 'latin1' })) {
        const inside = joinInner(parent, name)
        if (!this.#unpacked.has(inside)) this.#remove(inside)
      }
    } else if (!['', '.', '..'].includes(hidden)) this.#remove(joinInner(parent, hidden))
  }

  #remove(path: InnerPath): void {
    rmSync(onDisk(this.#root, path), { recursive: true, force: true })
  }

  #create(path: InnerPath, entry: TarEntry): void {
    const target = onDisk(this.#root, path)
    const existing = statBeneath(this.#root, path)
    const isMerge = entry.kind === 'directory' && existing?.isDirectory() === true
    const linked = entry.kind === 'hardlink' ? this.#linkTarget(entry) : null
    if (linked?.equals(target)) return
    if (existing && !isMerge) this.#remove(path)
    switch (entry.kind) {
      case 'file':
        this.#file = { fd: openSync(target, CREATE, 0o600), path, entry, at: 0 }
        return
      case 'directory':
        if (!isMerge) mkdirSync(target)
        this.#directories.delete(path)
        this.#directories.set(path, entry)
        return
      case 'hardlink':
        if (linked) linkSync(linked, target)
        return
      case 'symlink':
        symlinkSync(Buffer.from(entry.linkTarget, 'latin1'), target)
        return this.#describe(path, entry)
      case 'fifo':
        this.#sys.mkfifo(target, 0o600)
        return this.#describe(path, entry)
      case 'block-device':
      case 'character-device': {
        const type = entry.kind === 'block-device' ? S_IF.BLK : S_IF.CHR
        this.#sys.mknod(target, type | 0o600, deviceNumber(entry.deviceMajor, entry.deviceMinor))
        return this.#describe(path, entry)
      }
      default:
        entry.kind satisfies never
    }
  }

  #linkTarget(entry: TarEntry): Buffer {
    const path = resolveBeneath(this.#root, cleanPath(entry.linkTarget), false)
    const target = onDisk(this.#root, path)
    const stats = lstatSync(target, { throwIfNoEntry: false })
    if (stats && !stats.isDirectory()) return target
    throw new SlipwayError(
      'step-failed',
      `link ${toText(path)} ${toText(cleanPath(entry.path))}: no such file or directory`,
    )
  }

  #describe(path: InnerPath, entry: TarEntry): void {
    const owner = this.#owner ?? { uid: entry.uid, gid: entry.gid }
    const mode = entry.kind === 'symlink' ? null : entry.mode
    setAttributes(this.#root, path, { owner, mode, modifiedAtMs: entry.mtimeS * 1000 })
    if (entry.kind === 'symlink') return
    for (const [name, value] of entry.xattrs) {
      // Attributes of other kinds would steer overlayfs or the host's security modules.
      if (name === 'security.capability' || name.startsWith('user.'))
        this.#sys.lsetxattr(onDisk(this.#root, path), name, value)
    }
  }
}
