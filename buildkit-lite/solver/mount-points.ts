import { type BigIntStats, chmodSync, lstatSync, mkdirSync, rmdirSync, unlinkSync, writeFileSync } from 'node:fs'
import { SlipwayError } from '#domain/errors'
import type { Sys } from '#host/sys'
import {
  type InnerPath,
  isMissing,
  nameOf,
  onDisk,
  parentOf,
  resolveBeneath,
  statBeneath,
  toByteString,
  toText,
} from './beneath.ts'

/** Where something is mounted for the time of a step. */
export interface MountPoint {
  target: string
  kind: 'directory' | 'file'
  /** If it has to be made; a file system that is mounted on a directory takes over its mode. */
  mode?: number
}

interface Made {
  path: InnerPath
  /** The parent's times before and right after the name was made in it. */
  parent: { path: InnerPath; before: Times; afterNs: bigint }
}

interface Times {
  atimeNs: bigint
  mtimeNs: bigint
}

/**
 * Makes the mount points that the root lacks, and takes those away again that the step left empty, with the times of
 * the directories they were in, so that nothing of them gets into the layer.
 */
export function makeMountPoints(sys: Sys, root: string, points: readonly MountPoint[]): Disposable {
  const made: Made[] = []
  const mounted: InnerPath[] = []
  for (const point of points) {
    const path = resolveBeneath(root, toByteString(point.target))
    const isCovered = mounted.some((outer) => path.startsWith(`${outer}/`))
    mounted.push(path)
    // Below another mount it has its place in that one, not in the root.
    if (isCovered) continue
    make(root, path, point.kind, made)
    if (point.mode !== undefined && made.at(-1)?.path === path) chmodSync(onDisk(root, path), point.mode)
  }
  return {
    [Symbol.dispose]: () => {
      for (let last = made.pop(); last; last = made.pop()) removeStub(sys, root, last)
    },
  }
}

function make(root: string, path: InnerPath, kind: MountPoint['kind'], made: Made[]): void {
  if (path === '/') return
  const there = statBeneath(root, path)
  if (there?.isDirectory() === (kind === 'directory')) return
  if (there) {
    const what = there.isDirectory() ? 'a directory' : 'no directory'
    throw new SlipwayError('step-failed', `${toText(path)} is ${what}, expected a ${kind} to mount on`)
  }
  const parent = parentOf(path)
  make(root, parent, 'directory', made)
  const before = timesOf(root, parent)
  if (kind === 'directory') mkdirSync(onDisk(root, path), { mode: 0o755 })
  else writeFileSync(onDisk(root, path), '', { flag: 'wx', mode: 0o644 })
  made.push({ path, parent: { path: parent, before, afterNs: timesOf(root, parent).mtimeNs } })
}

function removeStub(sys: Sys, root: string, { path, parent }: Made): void {
  const stats = statBeneath(root, path)
  const here = statBeneath(root, parent.path) ? timesOf(root, parent.path) : null
  if (!stats || !here || !removeEmpty(root, path, stats)) return
  // Only what the step itself did may show in the directory's time.
  sys.lutimes(onDisk(root, parent.path), here.mtimeNs === parent.afterNs ? parent.before : here)
}

function removeEmpty(root: string, path: InnerPath, stats: { isDirectory(): boolean; size: number }): boolean {
  try {
    if (stats.isDirectory()) rmdirSync(onDisk(root, path))
    else if (stats.size === 0 && nameOf(path) !== '') unlinkSync(onDisk(root, path))
    else return false
    return true
  } catch (error) {
    if (isMissing(error) || (error as NodeJS.ErrnoException).code === 'ENOTEMPTY') return false
    throw error
  }
}

function timesOf(root: string, path: InnerPath): Times {
  const stats: BigIntStats = lstatSync(onDisk(root, path), { bigint: true })
  return { atimeNs: stats.atimeNs, mtimeNs: stats.mtimeNs }
}
