import { lstatSync, readlinkSync, type Stats } from 'node:fs'
import { SlipwayError } from '#domain/errors'

/**
 * Paths inside a root file system are byte strings: one character a byte, as in a `latin1` string, so that names that
 * are not UTF-8 survive. They start with `/`, have no `.` or `..`, and `/` is the root itself.
 */
export type InnerPath = string

/** As path_resolution(7) limits it. */
const MAX_LINKS = 40

/** Text of a Dockerfile as a byte string. */
export function toByteString(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}

/** A byte string as a person reads it. */
export function toText(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString('utf8')
}

/** The name that system calls take. */
export function onDisk(root: string, path: InnerPath): Buffer {
  return Buffer.concat([Buffer.from(root, 'utf8'), Buffer.from(path === '/' ? '' : path, 'latin1')])
}

/** Lexically clean, rooted at `/`: `..` never leaves it. */
export function cleanPath(path: string): InnerPath {
  const kept: string[] = []
  for (const part of path.split('/')) {
    if (part === '..') kept.pop()
    else if (part !== '' && part !== '.') kept.push(part)
  }
  return `/${kept.join('/')}`
}

export function joinInner(directory: InnerPath, name: string): InnerPath {
  return directory === '/' ? `/${name}` : `${directory}/${name}`
}

export function parentOf(path: InnerPath): InnerPath {
  return path.slice(0, path.lastIndexOf('/')) || '/'
}

export function nameOf(path: InnerPath): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

/** What a tree says of one name, without following it. */
export type LookUp = (path: InnerPath) => { linkTarget: string | null } | null

/**
 * Resolves a path as a process would whose root is the tree's: absolute and climbing links stay inside. What does not
 * exist is kept as it is written. With `followLast` false a link in the last place is the answer itself.
 */
export function resolveIn(lookUp: LookUp, path: string, followLast = true): InnerPath {
  const rest = path.split('/').toReversed()
  let current: InnerPath = '/'
  for (let links = 0; rest.length > 0; ) {
    const part = rest.pop()
    if (part === undefined || part === '' || part === '.') continue
    if (part === '..') {
      current = parentOf(current)
      continue
    }
    const next = joinInner(current, part)
    const isLast = rest.every((other) => other === '' || other === '.')
    const target = isLast && !followLast ? null : (lookUp(next)?.linkTarget ?? null)
    if (target === null) {
      current = next
      continue
    }
    if (++links > MAX_LINKS) throw new SlipwayError('invalid', `${toText(path)} has more than ${MAX_LINKS} links in it`)
    if (target.startsWith('/')) current = '/'
    rest.push(...target.split('/').toReversed())
  }
  return current
}

/** `resolveIn` for a directory on disk that nobody else changes meanwhile. */
export function resolveBeneath(root: string, path: string, followLast = true): InnerPath {
  return resolveIn((inner) => lookUpOnDisk(root, inner), path, followLast)
}

/** lstat(2) beneath a root; null where nothing is. The path must have been resolved. */
export function statBeneath(root: string, path: InnerPath): Stats | null {
  try {
    return lstatSync(onDisk(root, path))
  } catch (error) {
    if (isMissing(error)) return null
    throw error
  }
}

function lookUpOnDisk(root: string, path: InnerPath): { linkTarget: string | null } | null {
  const stats = statBeneath(root, path)
  if (!stats) return null
  return { linkTarget: stats.isSymbolicLink() ? readlinkSync(onDisk(root, path), { encoding: 'latin1' }) : null }
}

export function isMissing(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code
  return code === 'ENOENT' || code === 'ENOTDIR'
}
