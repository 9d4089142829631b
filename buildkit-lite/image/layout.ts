import { type Digest, digestHex, type Layer } from '#domain/digest'
import { formatImageReference, type ImageReference } from '#domain/image-reference'
import type { BuiltResult } from '../built-result.ts'
import type { BuiltImage } from '../contract.ts'
import { someOf } from './compose-index.ts'

/** What lies in an OCI image layout. https://github.com/opencontainers/image-spec/blob/main/image-layout.md */
export interface Layout {
  /** The descriptor that every name gets. */
  root: Record<string, unknown> & { annotations?: Readonly<Record<string, string>> }
  /** Each once. */
  layers: readonly Layer[]
  /** Configs, manifests, indexes and attestations. */
  documents: ReadonlyMap<Digest, Buffer>
}

/** The layout of one image, or of all that a build made. */
export function layoutOf(built: BuiltImage | BuiltResult): Layout {
  const images = 'images' in built ? built.images.map(({ image }) => image) : [built]
  const layers = new Map(images.flatMap((image) => image.layers.map((layer) => [layer.descriptor.digest, layer])))
  const documents = new Map<Digest, Buffer>()
  for (const image of images) {
    documents.set(image.configDigest, image.config)
    documents.set(image.manifestDigest, image.manifest)
  }
  if (!('images' in built)) return { root: imageDescriptor(built), layers: [...layers.values()], documents }
  for (const { digest, bytes, blobs } of built.attestations) {
    for (const blob of blobs) documents.set(blob.digest, blob.bytes)
    documents.set(digest, bytes)
  }
  documents.set(built.digest, built.bytes)
  const [first] = built.images
  const { mediaType, digest, bytes, annotations } = built
  const root = built.isIndex ? { mediaType, digest, size: bytes.length } : imageDescriptor(first.image)
  return { root: { ...root, ...someOf({ annotations }) }, layers: [...layers.values()], documents }
}

function imageDescriptor({ config, manifestMediaType: mediaType, manifestDigest: digest, manifest }: BuiltImage) {
  const { architecture, os, variant } = JSON.parse(config.toString('utf8')) as Record<string, string>
  const platform = { architecture, os, ...(variant ? { variant } : {}) }
  return { mediaType, digest, size: manifest.length, platform }
}

/** One descriptor a name, as the layout has no other place for names. */
export function namedDescriptors({ root }: Layout, names: readonly ImageReference[]): Layout['root'][] {
  if (names.length === 0) return [root]
  return names.map((name) => ({
    ...root,
    annotations: {
      ...root.annotations,
      'io.containerd.image.name': formatImageReference(name),
      'org.opencontainers.image.ref.name': name.tag ?? 'latest',
    },
  }))
}

export function layoutIndex(manifests: readonly unknown[]): object {
  return { schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests }
}

export const LAYOUT_FILE = { name: 'oci-layout', content: { imageLayoutVersion: '1.0.0' } }

export function blobPath(digest: Digest): string {
  return `blobs/sha256/${digestHex(digest)}`
}
