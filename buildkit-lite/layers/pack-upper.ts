import { openSys } from '#host/sys'
import type { Compression } from './compression.ts'
import { diffUpper } from './diff-upper.ts'
import { type PackedLayer, packHashed } from './pack-layer.ts'
import { type HashedArchive, readAhead } from './read-ahead.ts'
import { writeTar } from './write-tar.ts'

/** Everything that making a layer of an upper directory needs; it is sent to a thread. */
export interface UpperJob {
  /** Latin1-exact, as the paths of the lower directories. */
  upperDir: string
  lowerDirs: readonly string[]
  compression: Compression
  /** Infinity where times stay as they are. */
  latestS: number
  /** The file to write. */
  path: string
}

/** What is known of the layer when all of the tree was read. */
export interface ReadUpper {
  diffId: string
  /** What could not be part of it, in words for the user. */
  warnings: string[]
}

export type PackedUpper = PackedLayer & ReadUpper

/** Where the compressor is slower than the reader, so much waits in memory: the tree is needed for less long. */
const AHEAD_BYTES = 16 * 1024 * 1024

export async function packUpper(job: UpperJob, onRead: (read: ReadUpper) => void): Promise<PackedUpper> {
  const warnings: string[] = []
  const entries = diffUpper(openSys(), { ...job, warn: (message) => warnings.push(message) })
  const { promise: hashed, resolve } = Promise.withResolvers<HashedArchive>()
  const onHashed = (tar: HashedArchive) => {
    resolve(tar)
    onRead({ diffId: tar.diffId, warnings })
  }
  const blob = await packHashed(readAhead(writeTar(entries), { maxBytes: AHEAD_BYTES, onHashed }), job)
  return { ...blob, ...(await hashed), warnings }
}
