import { openSys } from '#host/sys'
import type { Compression } from './compression.ts'
import { diffUpper } from './diff-upper.ts'
import { type PackedLayer, packLayer } from './pack-layer.ts'
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

export async function packUpper(job: UpperJob): Promise<PackedLayer & { warnings: string[] }> {
  const warnings: string[] = []
  const entries = diffUpper(openSys(), { ...job, warn: (message) => warnings.push(message) })
  return { ...(await packLayer(writeTar(entries), job)), warnings }
}
