import type { Layer } from '#domain/digest'
import { SlipwayError } from '#domain/errors'
import type { BlobStore } from './blob-store.ts'
import { compressionOf } from './compression.ts'
import { commitLayer } from './create-layer.ts'
import type { PackedLayer } from './pack-layer.ts'
import { type RepackJob, repack } from './repack.ts'
import { runInThread } from './run-in-thread.ts'

export type LayerForm = Pick<RepackJob, 'compression' | 'level' | 'latestS'>

/** Below this size a layer is packed sooner than a thread would have started. */
const SMALL_BYTES = 64 * 1024
const REPACK_THREAD = new URL('./repack-thread.ts', import.meta.url)

/** Makes a layer whose blob is in the store another one of the given form, in one streaming pass. */
export async function repackLayer(
  layer: Layer,
  form: LayerForm,
  blobs: BlobStore,
  signal: AbortSignal,
): Promise<Layer> {
  const { digest, mediaType, size } = layer.descriptor
  await using staged = await blobs.stage()
  const source = { path: await blobs.pathOf(digest), compression: compressionOf(mediaType) }
  const job: RepackJob = { ...form, source, path: staged.path }
  const packed = size < SMALL_BYTES ? await repack(job) : await runInThread<PackedLayer>(REPACK_THREAD, job, {}, signal)
  if (form.latestS === null && packed.diffId !== layer.diffId)
    throw new SlipwayError('invalid', `Layer ${digest} holds ${packed.diffId}, expected its diffID ${layer.diffId}`)
  const { descriptor, diffId } = await commitLayer(staged, packed, form.compression)
  return { descriptor, diffId }
}
