import { statfs } from 'node:fs/promises'
import { messageOf, SlipwayError, SourceError } from '#domain/errors'
import { ExecError } from './exec.ts'

export interface DiskSpace {
  /** For everybody, not only for root. */
  freeBytes: number
  totalBytes: number
}

/** Less than this is nothing: what was written last did not fit. */
const FULL_BYTES = 1024 * 1024
const SAYS_FULL = /\bENOSPC\b|\bEDQUOT\b|No space left on device|Disk quota exceeded/i

/** Of the file system that has the path. */
export async function diskSpace(path: string): Promise<DiskSpace> {
  const { bavail, blocks, bsize } = await statfs(path)
  return { freeBytes: bavail * bsize, totalBytes: blocks * bsize }
}

/** Whether nothing more fits there: no block, or no inode. */
export async function isDiskFull(path: string): Promise<boolean> {
  const stats = await statfs(path).catch(() => null)
  if (stats === null) return false
  const { bavail, bsize, files, ffree } = stats
  return bavail * bsize < FULL_BYTES || (files > 0 && ffree === 0)
}

/** Whether a full disk is what failed. */
export function isDiskFullError(error: unknown): boolean {
  return causesOf(error).some(saysFull)
}

/** An error of kind `disk-full` with the figures, where a full disk is what failed; else the error as it is. */
export async function explainDiskFull(error: unknown, dataDir: string): Promise<unknown> {
  if (!isDiskFullError(error)) return error
  const { freeBytes, totalBytes } = await diskSpace(dataDir)
  const free = `${formatBytes(freeBytes)} of ${formatBytes(totalBytes)} free`
  const state = `${dataDir} has ${free} without what did not fit; run slipway gc to make space`
  if (messageOf(error).includes(dataDir) && error instanceof SlipwayError && error.kind === 'disk-full') return error
  const isSaid = messageOf(error).startsWith('No space is left')
  const message = `${isSaid ? '' : 'No space is left on the disk: '}${messageOf(error)}; ${state}`
  if (error instanceof SourceError) return new SourceError('disk-full', message, error, { cause: error })
  return new SlipwayError('disk-full', message, { cause: error })
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const

/** `0.8 GB`, in decimal units, as disks are sold. */
export function formatBytes(bytes: number): string {
  let [value, unit] = [bytes, 0]
  // 800 MB are easier to compare with the sizes of disks as 0.8 GB.
  for (; value >= 800 && unit < UNITS.length - 1; unit++) value /= 1000
  return `${value.toFixed(1).replace(/\.0$/, '')} ${UNITS[unit]}`
}

function causesOf(error: unknown): unknown[] {
  const causes: unknown[] = []
  for (let at = error; at !== undefined && at !== null && causes.length < 10; at = (at as Error).cause) causes.push(at)
  return causes
}

/** Threads and programs of ours can only say it in words; those of a Dockerfile are not asked. */
function saysFull(error: unknown): boolean {
  const code = (error as { code?: unknown }).code
  if (code === 'ENOSPC' || code === 'EDQUOT') return true
  if (error instanceof ExecError) return SAYS_FULL.test(error.stderr)
  if (error instanceof SlipwayError)
    return error.kind === 'disk-full' || (OURS.includes(error.kind) && SAYS_FULL.test(error.message))
  return error instanceof Error && SAYS_FULL.test(error.message)
}

const OURS: readonly string[] = ['internal', 'source-unavailable', 'registry-unavailable']
