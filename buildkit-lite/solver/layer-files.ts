import { createHash } from 'node:crypto'
import { rm } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Digest } from '#domain/digest'
import type { SnapshotKey } from '#sandbox'
import type { BuildTools } from '../contract.ts'
import { applyLayer } from '../layers/apply-layer.ts'
import { LostLayerError } from '../remote-cache/lost-layer.ts'
import { type Chain, type ChainLayer, EMPTY_CHAIN, extendChain } from './chain.ts'
import { openSourceBlob } from './image-blobs.ts'

export type LayerTools = Pick<BuildTools, 'blobs' | 'registry' | 'snapshots' | 'sharedWork'>

/** Opens a layer's compressed bytes, from here or from where the base image lies; keeps nothing. */
export async function openLayer(
  tools: LayerTools,
  { layer, source }: ChainLayer,
  signal: AbortSignal,
): Promise<Readable> {
  const { descriptor } = layer
  if (source === null || (await tools.blobs.has(descriptor.digest)))
    return await tools.blobs.read(descriptor.digest, signal)
  return await openSourceBlob(source, descriptor, tools.registry, signal)
}

/** Whether the layer's bytes can be had without running anything. */
export async function isAvailable(tools: LayerTools, { layer, source }: ChainLayer): Promise<boolean> {
  return source !== null || (await tools.blobs.has(layer.descriptor.digest)) !== null
}

/** Puts a chain of layers on disk, each as a snapshot on top of the last; what is there already stays. */
export async function materialise(tools: LayerTools, chain: Chain, signal: AbortSignal): Promise<SnapshotKey | null> {
  const missing: { parent: SnapshotKey | null; key: SnapshotKey; layer: ChainLayer }[] = []
  const below = prefixesOf(chain)
  for (let at = chain.layers.length; at > 0; at--) {
    const [key, parent, layer] = [below[at], below[at - 1] ?? null, chain.layers[at - 1]]
    if (!key || !layer || (await tools.snapshots.has(key))) break
    missing.unshift({ parent, key, layer })
  }
  // Blobs come in side by side; they can only be applied one after the other.
  const fetched = missing.map(({ layer }) => fetchBlob(tools, layer, signal))
  for (const one of fetched) one.catch(() => {})
  for (const [index, { parent, key, layer }] of missing.entries()) {
    await fetched[index]
    await tools.sharedWork.share(
      `snapshot ${key}`,
      (signal) => applyOnTop(tools, { parent, key, layer }, signal),
      signal,
    )
  }
  return chain.id
}

async function applyOnTop(
  tools: LayerTools,
  { parent, key, layer }: { parent: SnapshotKey | null; key: SnapshotKey; layer: ChainLayer },
  signal: AbortSignal,
): Promise<void> {
  if (await tools.snapshots.has(key)) return
  await using snapshot = await tools.snapshots.prepare(parent)
  const { digest } = layer.layer.descriptor
  const blob = await tools.blobs.read(digest, signal)
  try {
    await applyLayer(blob, layer.layer, snapshot, signal)
  } catch (error) {
    if (!signal.aborted && (await dropIfBroken(tools, digest, signal))) throw new LostLayerError(digest, error)
    throw error
  }
  await snapshot.commit(key)
}

/** Disks lose bytes: a blob that is no longer what it is called goes, and is had again from where it came from. */
async function dropIfBroken({ blobs }: LayerTools, digest: Digest, signal: AbortSignal): Promise<boolean> {
  const hash = createHash('sha256')
  await pipeline(await blobs.read(digest, signal), hash)
  if (`sha256:${hash.digest('hex')}` === digest) return false
  await rm(await blobs.pathOf(digest), { force: true })
  return true
}

/** Brings the layer into the blob store. */
export async function fetchBlob(tools: LayerTools, chained: ChainLayer, signal: AbortSignal): Promise<void> {
  const { digest, size } = chained.layer.descriptor
  // The store may have a blob in such a way that it comes when it is asked for.
  if (await tools.blobs.has(digest)) return void (await tools.blobs.pathOf(digest))
  await tools.sharedWork.share(
    `blob ${digest}`,
    async (signal) => {
      if (await tools.blobs.has(digest)) return
      const bytes = await openLayer(tools, chained, signal)
      await tools.blobs.write(bytes, { digest, sizeBytes: size }, signal)
    },
    signal,
  )
}

function prefixesOf(chain: Chain): (SnapshotKey | null)[] {
  const prefixes: (SnapshotKey | null)[] = [null]
  let current = EMPTY_CHAIN
  for (const layer of chain.layers) {
    current = extendChain(current, [layer])
    prefixes.push(current.id)
  }
  return prefixes
}
