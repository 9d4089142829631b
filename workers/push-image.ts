import { Readable } from 'node:stream'
import type { BuiltImage, Registry } from '#buildkit-lite'
import type { Build } from '#domain/build'
import { type ImageReference, Tag } from '#domain/image-reference'
import type { TagMoves } from '#store/contract'

export interface ImagePush {
  image: BuiltImage
  /** Without tag and digest. */
  to: ImageReference
  registry: Registry
}

/** Uploads blobs, then the manifest by its digest: from then on the image is there, under no name yet. */
export async function pushByDigest({ image, to, registry }: ImagePush, signal: AbortSignal): Promise<void> {
  const base = image.baseRepository
  const mountFrom = base?.startsWith(`${to.registry}/`) ? { mountFrom: base.slice(to.registry.length + 1) } : {}
  const pushLayer = (layer: BuiltImage['layers'][number]) => {
    const { digest, size: sizeBytes } = layer.descriptor
    const open = () => image.content.open(layer, signal)
    return registry.pushBlob(to, { digest, sizeBytes, open, ...mountFrom }, signal)
  }
  const { config, configDigest } = image
  const pushConfig = registry.pushBlob(
    to,
    { digest: configDigest, sizeBytes: config.length, open: async () => Readable.from([config]) },
    signal,
  )
  await Promise.all([pushConfig, ...image.layers.map(pushLayer)])
  await registry.pushManifest({ ...to, digest: image.manifestDigest }, manifestOf(image), signal)
}

/** Points tags at the pushed image, but for those that a newer build has; returns the ones that moved. */
export async function moveTags(
  { image, to, registry }: ImagePush,
  build: Build,
  tags: TagMoves,
  signal: AbortSignal,
): Promise<string[]> {
  const moved: string[] = []
  for (const tag of new Set(build.tags)) {
    const reference = { ...to, tag: Tag.parse(tag) }
    const hasMoved = await tags.move(build.project, tag, build.number, () =>
      registry.pushManifest(reference, manifestOf(image), signal),
    )
    if (hasMoved) moved.push(tag)
  }
  return moved
}

function manifestOf({ manifest: bytes, manifestMediaType: mediaType, manifestDigest: digest }: BuiltImage) {
  return { bytes, mediaType, digest }
}
