import { closeSync, openSync, writeSync } from 'node:fs'
import { openSys } from '#host/sys'
import { diffUpper } from './diff-upper.ts'
import { bytes, type TarSource } from './file-entry.ts'
import { writeTar } from './write-tar.ts'

/** Whole directories as one archive, each below a directory of its own. It is sent to a thread. */
export interface TreesJob {
  /** Latin1-exact paths; an empty prefix is the archive's root. */
  trees: readonly { dir: string; prefix: string }[]
  /** Further files; content from `contentPath`. */
  files: readonly { path: string; contentPath: string; sizeBytes: number }[]
  /** The time of everything, in seconds since 1970; null keeps that of each file. */
  timeS: number | null
  /** The file to write. */
  path: string
}

/** Writes the archive and returns what could not be part of it, in words for the user. */
export function packTrees(job: TreesJob): string[] {
  const warnings: string[] = []
  const fd = openSync(bytes(job.path), 'w', 0o644)
  try {
    for (const chunk of writeTar(entriesOf(job, (message) => warnings.push(message))))
      for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at)
  } finally {
    closeSync(fd)
  }
  return warnings
}

function* entriesOf(job: TreesJob, warn: (message: string) => void): Generator<TarSource> {
  const timed = (entry: TarSource): TarSource => (job.timeS === null ? entry : { ...entry, mtimeS: job.timeS })
  const latestS = Number.POSITIVE_INFINITY
  for (const { dir, prefix } of job.trees) {
    if (prefix !== '') yield timed({ ...PLAIN, kind: 'directory', path: prefix, mode: 0o755 })
    const inside = (path: string): string => (prefix === '' ? path : `${prefix}/${path}`)
    for (const entry of diffUpper(openSys(), { upperDir: dir, lowerDirs: [], latestS, warn })) {
      const linkTarget = entry.kind === 'hardlink' ? inside(entry.linkTarget) : entry.linkTarget
      yield timed({ ...entry, path: inside(entry.path), linkTarget })
    }
  }
  for (const { path, contentPath, sizeBytes } of job.files) yield timed({ ...PLAIN, path, sizeBytes, contentPath })
}

const PLAIN: TarSource = {
  path: '',
  kind: 'file',
  mode: 0o644,
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
