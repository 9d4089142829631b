import { Readable } from 'node:stream'
import type { ImageReference } from '#domain/image-reference'
import type { BuiltImage } from './contract.ts'
import type { Registry } from './registry/contract.ts'

/**
 * Pushes an image: blobs side by side, then the manifest by digest, then under each reference's tag, so that a tag
 * never names what is not there. What the registry has already is not sent; what a base image's repository of the same
 * registry has is mounted.
 */
export async function pushImage(
  image: BuiltImage,
  references: readonly ImageReference[],
  registry: Registry,
  signal: AbortSignal,
): Promise<void> {
  const repositories = Map.groupBy(references, (one) => `${one.registry}/${one.repository}`)
  for (const [, [first, ...others]] of repositories) {
    if (!first) continue
    await pushBlobs(image, first, registry, signal)
    const manifest = { bytes: image.manifest, mediaType: image.manifestMediaType, digest: image.manifestDigest }
    await registry.pushManifest({ ...first, tag: null, digest: image.manifestDigest }, manifest, signal)
    for (const { tag } of [first, ...others])
      if (tag) await registry.pushManifest({ ...first, tag, digest: null }, manifest, signal)
  }
}

async function pushBlobs(
  image: BuiltImage,
  to: ImageReference,
  registry: Registry,
  signal: AbortSignal,
): Promise<void> {
  const mountFrom = mountSource(image, to)
  const stop = new AbortController()
  const either = AbortSignal.any([signal, stop.signal])
  const pushes = image.layers.map(async (layer) => {
    const { digest, size: sizeBytes } = layer.descriptor
    const open = async (): Promise<Readable> => await image.content.open(layer, either)
    await registry.pushBlob(to, { digest, sizeBytes, open, ...mountFrom }, either)
  })
  const open = async (): Promise<Readable> => Readable.from([image.config])
  pushes.push(registry.pushBlob(to, { digest: image.configDigest, sizeBytes: image.config.length, open }, either))
  try {
    await Promise.all(pushes)
  } catch (error) {
    stop.abort(error)
    await Promise.allSettled(pushes)
    throw error
  }
}

function mountSource({ baseRepository }: BuiltImage, to: ImageReference): { mountFrom?: string } {
  const prefix = `${to.registry}/`
  return baseRepository?.startsWith(prefix) ? { mountFrom: baseRepository.slice(prefix.length) } : {}
}
