import { readdirSync } from 'node:fs'
import { Digest, type Layer } from '#domain/digest'
import { bytePath } from '#host/sys'
import type { BlobStore } from './blob-store.ts'
import { type Compression, LAYER_MEDIA_TYPES } from './compression.ts'
import { bytes, lstatOrNull } from './file-entry.ts'
import type { PackedLayer } from './pack-layer.ts'
import { type PackedUpper, packUpper, type ReadUpper, type UpperJob } from './pack-upper.ts'
import { runInThread } from './run-in-thread.ts'

/** An overlay's upper directory and what is below it, top-most first. Ordinary strings. */
export interface UpperTree {
  upperDir: string
  lowerDirs: readonly string[]
}

export interface LayerOptions {
  compression: Compression
  /** Later file times become this one; seconds since 1970. https://reproducible-builds.org/specs/source-date-epoch/ */
  sourceDateEpoch?: number
  /** Told once all of the tree was read: it may be moved or built upon while the rest is compressed and stored. */
  onRead?: (read: ReadTree) => void
}

/** What is known of a layer whose blob is still being made. */
export interface ReadTree {
  diffId: Digest
  warnings: readonly string[]
}

/** A layer that was made here. */
export interface CreatedLayer extends Layer {
  uncompressedBytes: number
  /** Files that could not be part of it, in words for the user. */
  warnings: readonly string[]
}

/**
 * Makes the layer that the upper directory is and commits it to the blob store, in one pass and without ever holding it
 * in memory. Nothing may write to the tree meanwhile. Equal trees give equal layers.
 */
export async function createLayer(
  upper: UpperTree,
  options: LayerOptions,
  blobs: BlobStore,
  signal: AbortSignal,
): Promise<CreatedLayer> {
  await using staged = await blobs.stage()
  const job: UpperJob = {
    upperDir: latin1(upper.upperDir),
    lowerDirs: upper.lowerDirs.map(latin1),
    compression: options.compression,
    latestS: options.sourceDateEpoch ?? Number.POSITIVE_INFINITY,
    path: staged.path,
  }
  const onRead = ({ diffId, warnings }: ReadUpper) => options.onRead?.({ diffId: Digest.parse(diffId), warnings })
  const packed = isSmall(job.upperDir)
    ? await packUpper(job, onRead)
    : await runInThread<PackedUpper, ReadUpper>(PACK_THREAD, job, { onNews: onRead }, signal)
  return { ...(await commitLayer(staged, packed, options.compression)), warnings: packed.warnings }
}

/** The layer of a whole directory, as `slipway import DIR` needs it. */
export function createLayerFromTree(
  dir: string,
  options: LayerOptions,
  blobs: BlobStore,
  signal: AbortSignal,
): Promise<CreatedLayer> {
  return createLayer({ upperDir: dir, lowerDirs: [] }, options, blobs, signal)
}

export async function commitLayer(
  staged: Awaited<ReturnType<BlobStore['stage']>>,
  packed: PackedLayer,
  compression: Compression,
): Promise<Layer & { uncompressedBytes: number }> {
  const digest = Digest.parse(packed.digest)
  await staged.commit(digest, packed.sizeBytes)
  return {
    descriptor: { mediaType: LAYER_MEDIA_TYPES[compression], digest, size: packed.sizeBytes },
    diffId: Digest.parse(packed.diffId),
    uncompressedBytes: packed.uncompressedBytes,
  }
}

const PACK_THREAD = new URL('./pack-thread.ts', import.meta.url)
export const TREES_THREAD = new URL('./trees-thread.ts', import.meta.url)
const SMALL_ENTRIES = 64
const SMALL_BYTES = 256 * 1024

/** Whether the tree is so small that it is packed sooner than a thread would have started (tens of milliseconds). */
function isSmall(dir: string): boolean {
  const open = [dir]
  let entries = 0
  let sizeBytes = 0
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    for (const name of readdirSync(bytes(next), { encoding: 'latin1' })) {
      const stats = lstatOrNull(`${next}/${name}`)
      sizeBytes += stats?.isFile() ? stats.size : 0
      if (++entries > SMALL_ENTRIES || sizeBytes > SMALL_BYTES) return false
      if (stats?.isDirectory()) open.push(`${next}/${name}`)
    }
  }
  return true
}

function latin1(path: string): string {
  return Buffer.from(bytePath(path)).toString('latin1')
}
