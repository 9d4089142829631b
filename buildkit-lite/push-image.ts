import { Readable } from 'node:stream'
import { type ImageReference, Tag } from '#domain/image-reference'
import type { BuiltResult } from './built-result.ts'
import type { BuiltImage } from './contract.ts'
import type { Registry } from './registry/contract.ts'
import { sideBySide } from './side-by-side.ts'

/** Pushes an image to each reference's repository, and then under its tag. */
export async function pushImage(
  image: BuiltImage,
  references: readonly ImageReference[],
  registry: Registry,
  signal: AbortSignal,
): Promise<void> {
  const repositories = Map.groupBy(references, (one) => `${one.registry}/${one.repository}`)
  for (const [, [first, ...others]] of repositories) {
    if (!first) continue
    await pushByDigest(image, first, registry, signal)
    for (const { tag } of [first, ...others]) if (tag) await pushTag(image, { ...first, tag }, registry, signal)
  }
}

/**
 * Uploads blobs side by side, then the manifest by its digest: from then on the image is there, under no name yet. What
 * the registry has already is not sent; what a base image's repository of the same registry has is mounted.
 */
export async function pushByDigest(
  image: BuiltImage,
  to: ImageReference,
  registry: Registry,
  signal: AbortSignal,
): Promise<void> {
  await pushBlobs(image, to, registry, signal)
  await registry.pushManifest({ ...to, tag: null, digest: image.manifestDigest }, manifestOf(image), signal)
}

/**
 * Pushes all that a build made to each reference's repository: the images, what is said of them, and then the index
 * under every tag, or under its digest alone.
 */
export async function pushResult(
  result: BuiltResult,
  { names, byDigestOnly }: { names: readonly ImageReference[]; byDigestOnly: boolean },
  registry: Registry,
  signal: AbortSignal,
): Promise<void> {
  const { bytes, mediaType, digest } = result
  const repositories = Map.groupBy(names, (one) => `${one.registry}/${one.repository}`)
  for (const [, [first, ...others]] of repositories) {
    if (!first) continue
    for (const { image } of result.images) await pushByDigest(image, first, registry, signal)
    for (const attestation of result.attestations) {
      for (const blob of attestation.blobs)
        await registry.pushBlob(first, { ...smallBlob(blob.bytes), digest: blob.digest }, signal)
      await registry.pushManifest({ ...first, tag: null, digest: attestation.digest }, attestation, signal)
    }
    if (result.isIndex)
      await registry.pushManifest({ ...first, tag: null, digest }, { bytes, mediaType, digest }, signal)
    for (const { tag } of byDigestOnly ? [] : [first, ...others])
      await registry.pushManifest({ ...first, tag: tag ?? LATEST, digest: null }, { bytes, mediaType, digest }, signal)
  }
}

const LATEST = Tag.parse('latest')

function smallBlob(bytes: Buffer) {
  return { sizeBytes: bytes.length, open: async (): Promise<Readable> => Readable.from([bytes]) }
}

/** Points a tag at an image that was pushed by its digest. */
export async function pushTag(
  image: BuiltImage,
  to: ImageReference & { tag: Tag },
  registry: Registry,
  signal: AbortSignal,
): Promise<void> {
  await registry.pushManifest({ ...to, digest: null }, manifestOf(image), signal)
}

/** The first upload that fails ends the others; nothing of them goes on when this rejects. */
async function pushBlobs(
  image: BuiltImage,
  to: ImageReference,
  registry: Registry,
  signal: AbortSignal,
): Promise<void> {
  const mountFrom = mountSource(image, to)
  const pushes = image.layers.map((layer) => async (signal: AbortSignal) => {
    const { digest, size: sizeBytes } = layer.descriptor
    const open = async (): Promise<Readable> => await image.content.open(layer, signal)
    await registry.pushBlob(to, { digest, sizeBytes, open, ...mountFrom }, signal)
  })
  const config = { ...smallBlob(image.config), digest: image.configDigest }
  await sideBySide([...pushes, (signal) => registry.pushBlob(to, config, signal)], signal)
}

function mountSource({ baseRepository }: BuiltImage, to: ImageReference): { mountFrom?: string } {
  const prefix = `${to.registry}/`
  return baseRepository?.startsWith(prefix) ? { mountFrom: baseRepository.slice(prefix.length) } : {}
}

function manifestOf({ manifest: bytes, manifestMediaType: mediaType, manifestDigest: digest }: BuiltImage) {
  return { bytes, mediaType, digest }
}
