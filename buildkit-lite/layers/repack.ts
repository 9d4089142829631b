import { createReadStream } from 'node:fs'
import { clampTimes } from './clamp-times.ts'
import { type Compression, openDecompressor, readThrough } from './compression.ts'
import { type PackedLayer, packLayer } from './pack-layer.ts'

/** Everything that packing a layer's blob anew needs; it is sent to a thread. */
export interface RepackJob {
  source: { path: string; compression: Compression }
  compression: Compression
  level: number | null
  /** Later times of files become this one, in seconds since 1970; null keeps all, and every byte of the archive. */
  latestS: number | null
  /** The file to write. */
  path: string
}

export async function repack({ source, compression, level, latestS, path }: RepackJob): Promise<PackedLayer> {
  const blob: AsyncIterable<Buffer> = createReadStream(source.path, { highWaterMark: 256 * 1024 })
  const tar =
    source.compression === 'none' ? blob : readThrough(blob, await openDecompressor(source.compression, false))
  return await packLayer(latestS === null ? tar : clampTimes(tar, latestS), { path, compression, level })
}
