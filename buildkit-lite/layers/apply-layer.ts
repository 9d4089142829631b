import { ReadStream } from 'node:fs'
import type { Readable } from 'node:stream'
import type { Layer } from '#domain/digest'
import { bytePath } from '#host/sys'
import { type ApplyJob, applyBlob } from './apply-blob.ts'
import { compressionOf } from './compression.ts'
import type { UpperTree } from './create-layer.ts'
import { runInThread } from './run-in-thread.ts'

export interface ApplyTarget extends UpperTree {
  limits?: { maxBytes?: number; maxEntries?: number }
}

const DEFAULT_MAX_BYTES = 256 * 1024 ** 3
const DEFAULT_MAX_ENTRIES = 10_000_000
/** Smaller blobs are unpacked sooner than a thread would have started. */
const INLINE_BYTES = 32 * 1024
const APPLY_THREAD = new URL('./apply-thread.ts', import.meta.url)

/**
 * Unpacks a compressed layer into an overlay's empty upper directory, whiteouts and all, and checks its size, digest
 * and diffID on the way. When it fails the directory holds a part of the layer and is to be thrown away. Needs root.
 */
export async function applyLayer(
  source: Readable,
  layer: Layer,
  target: ApplyTarget,
  signal: AbortSignal,
): Promise<{ uncompressedBytes: number }> {
  const job: ApplyJob = {
    upperDir: latin1(target.upperDir),
    lowerDirs: target.lowerDirs.map(latin1),
    compression: compressionOf(layer.descriptor.mediaType),
    digest: layer.descriptor.digest,
    sizeBytes: layer.descriptor.size,
    diffId: layer.diffId,
    maxBytes: target.limits?.maxBytes ?? DEFAULT_MAX_BYTES,
    path: pathOf(source),
    maxEntries: target.limits?.maxEntries ?? DEFAULT_MAX_ENTRIES,
  }
  const input = job.path === null ? source : null
  if (input === null) source.once('error', () => {}).destroy()
  if (job.sizeBytes > INLINE_BYTES) return runInThread(APPLY_THREAD, job, input ? { input } : {}, signal)
  signal.throwIfAborted()
  try {
    return await applyBlob(job, input)
  } finally {
    source.destroy()
  }
}

/** A stream that is all of a file is not sent through this thread: the file can be opened where it is used. */
function pathOf(source: Readable): string | null {
  const isWhole = source instanceof ReadStream && source.bytesRead === 0 && !source.destroyed
  return isWhole && typeof source.path === 'string' ? source.path : null
}

function latin1(path: string): string {
  return Buffer.from(bytePath(path)).toString('latin1')
}
