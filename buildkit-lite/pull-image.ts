import type { Descriptor, Digest } from '#domain/digest'
import { SlipwayError } from '#domain/errors'
import type { ImageReference } from '#domain/image-reference'
import type { SnapshotKey, Snapshots } from '#sandbox'
import type { ImageConfig } from './image/config.ts'
import { applyLayer } from './layers/apply-layer.ts'
import type { BlobStore } from './layers/blob-store.ts'
import type { Platform } from './plan/plan.ts'
import type { PulledManifest, Registry } from './registry/contract.ts'
import { chainId } from './solver/chain.ts'

/** An image whose files are there: `snapshotKey` is its last layer's, null for an image without layers. */
export interface PulledImage {
  reference: ImageReference
  digest: Digest
  configDigest: Digest
  config: ImageConfig
  snapshotKey: SnapshotKey | null
}

export interface PullTools {
  registry: Registry
  blobs: BlobStore
  snapshots: Snapshots
  platform: Platform
}

/** Resolves a name and makes its layers snapshots. What is there already is neither downloaded nor unpacked again. */
export async function pullImage(name: string, tools: PullTools, signal: AbortSignal): Promise<PulledImage> {
  const manifest = await tools.registry.resolve(name, tools.platform, signal)
  const snapshotKey = await unpackImage(manifest, tools, signal)
  const { reference, digest, configDigest, config } = manifest
  return { reference, digest, configDigest, config, snapshotKey }
}

/** Makes every layer of a manifest a snapshot, keyed by its chain id, and returns the last one's key. */
export async function unpackImage(
  manifest: PulledManifest,
  tools: Omit<PullTools, 'platform'>,
  signal: AbortSignal,
): Promise<SnapshotKey | null> {
  const diffIds = manifest.config.rootfs.diff_ids ?? []
  const { layers } = manifest
  if (diffIds.length !== layers.length)
    throw new SlipwayError(
      'pull-denied',
      `Image ${manifest.digest} has ${layers.length} layers, expected ${diffIds.length} as its config says`,
    )
  const keys = chainIds(diffIds)
  const start = await firstMissing(keys, tools.snapshots)
  const missing = layers.slice(start).map((descriptor) => fetchBlob(manifest.reference, descriptor, tools, signal))
  // Downloads go on together; unpacking follows in order. A failed one must not be unhandled while another is awaited.
  for (const download of missing) download.catch(() => {})
  for (const [offset, download] of missing.entries()) {
    await download
    const index = start + offset
    const [descriptor, diffId, key] = [layers[index], diffIds[index], keys[index]]
    if (!descriptor || !diffId || !key) break
    await unpackLayer({ parent: keys[index - 1] ?? null, key }, { descriptor, diffId }, tools, signal)
  }
  return keys.at(-1) ?? null
}

/** The names of an image's snapshots, bottom first. */
function chainIds(diffIds: readonly Digest[]): SnapshotKey[] {
  const keys: SnapshotKey[] = []
  for (const diffId of diffIds) keys.push(chainId(keys.at(-1) ?? null, diffId))
  return keys
}

async function firstMissing(keys: readonly SnapshotKey[], snapshots: Snapshots): Promise<number> {
  for (let index = keys.length; index > 0; index--) if (await snapshots.has(keys[index - 1] ?? '')) return index
  return 0
}

async function fetchBlob(
  from: ImageReference,
  descriptor: Descriptor,
  { registry, blobs }: Pick<PullTools, 'registry' | 'blobs'>,
  signal: AbortSignal,
): Promise<void> {
  if (await blobs.has(descriptor.digest)) return
  const body = await registry.openBlob(from, descriptor, signal)
  await blobs.write(body, { digest: descriptor.digest, sizeBytes: descriptor.size }, signal)
}

async function unpackLayer(
  { parent, key }: { parent: SnapshotKey | null; key: SnapshotKey },
  layer: { descriptor: Descriptor; diffId: Digest },
  { blobs, snapshots }: Pick<PullTools, 'blobs' | 'snapshots'>,
  signal: AbortSignal,
): Promise<void> {
  await using snapshot = await snapshots.prepare(parent)
  await applyLayer(await blobs.read(layer.descriptor.digest, signal), layer, snapshot, signal)
  try {
    await snapshot.commit(key)
  } catch (error) {
    // Somebody else unpacked the same layer meanwhile; theirs is as good.
    if (!(await snapshots.has(key))) throw error
  }
}
