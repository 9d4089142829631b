import { closeSync, constants, fstatSync, lstatSync, openSync, type Stats } from 'node:fs'
import { SlipwayError } from '#domain/errors'
import { type InnerPath, isMissing, joinInner, nameOf, onDisk, parentOf, toText } from './beneath.ts'

/** Where the files of a tree lie on disk. */
export interface SourceFiles {
  /**
   * A path for calls that do not follow its last part, such as lstat(2) and open(2) with O_NOFOLLOW. It is to be used
   * before the next one is asked for.
   */
  at(path: InnerPath): Buffer
}

/** Files below a directory that nobody else changes. */
export function plainFiles(rootDir: string): SourceFiles {
  return { at: (path) => onDisk(rootDir, path) }
}

/** Directories that are held open, to be found again without a walk from the root. */
const MAX_OPEN = 64
const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW

/**
 * Files below a directory that others may change meanwhile. Every directory on the way is opened from the one above it
 * and no symbolic link is followed, so that no swap leads out of the root.
 */
export function openSourceFiles(rootDir: string): SourceFiles & Disposable {
  const open = new Map<InnerPath, number>()
  const root = openSync(rootDir, constants.O_RDONLY | constants.O_DIRECTORY)
  let isOpen = true
  const directory = (path: InnerPath): number => {
    if (path === '/') return root
    const known = open.get(path)
    if (known !== undefined) return known
    const fd = openInside(directory(parentOf(path)), nameOf(path), DIRECTORY, path)
    const [oldest] = open
    if (oldest && open.size >= MAX_OPEN) {
      closeSync(oldest[1])
      open.delete(oldest[0])
    }
    open.set(path, fd)
    return fd
  }
  return {
    at: (path) => (path === '/' ? pathInside(root, '.') : pathInside(directory(parentOf(path)), nameOf(path))),
    [Symbol.dispose]: () => {
      if (!isOpen) return
      isOpen = false
      for (const fd of [root, ...open.values()]) closeSync(fd)
      open.clear()
    },
  }
}

function pathInside(directory: number, name: string): Buffer {
  return Buffer.from(joinInner(`/proc/self/fd/${directory}`, name), 'latin1')
}

function openInside(directory: number, name: string, flags: number, path: InnerPath): number {
  try {
    return openSync(pathInside(directory, name), flags)
  } catch (error) {
    throw changed(error, path)
  }
}

/** Reading a regular file, through no link in its last part either. The caller closes it. */
export function openFile(files: SourceFiles, path: InnerPath): number {
  let fd: number
  try {
    fd = openSync(files.at(path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    throw changed(error, path)
  }
  if (fstatSync(fd).isFile()) return fd
  closeSync(fd)
  throw changed(null, path)
}

/** Differs once a file was written to or exchanged. */
export function versionOf({ ino, size, mtimeMs, ctimeMs }: Stats): string {
  return [ino, size, mtimeMs, ctimeMs].join(' ')
}

/** lstat(2) of what must be there, because it was listed. */
export function statSource(files: SourceFiles, path: InnerPath): Stats {
  try {
    return lstatSync(files.at(path))
  } catch (error) {
    throw changed(error, path)
  }
}

function changed(error: unknown, path: InnerPath): unknown {
  const code = (error as NodeJS.ErrnoException | null)?.code
  if (error !== null && !isMissing(error) && code !== 'ELOOP' && code !== 'ENXIO') return error
  return new SlipwayError('context-invalid', `"${toText(path)}" was changed or removed while it was read`, {
    cause: error,
  })
}
