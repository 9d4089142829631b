import { createHash } from 'node:crypto'
import { Digest, type Layer } from '#domain/digest'
import { compressionOf, LAYER_MEDIA_TYPES } from '../layers/compression.ts'
import { canonicalJson } from './canonical-json.ts'
import type { HistoryEntry, ImageConfig } from './config.ts'

const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json'
const CONFIG_TYPE = 'application/vnd.oci.image.config.v1+json'

export interface ImageParts {
  /** Everything but times, history and layers, which the other parts say. */
  plannedConfig: ImageConfig
  history: readonly HistoryEntry[]
  /** The base image's, then the new ones. */
  layers: readonly Layer[]
  created: string | null
  annotations?: Readonly<Record<string, string>>
}

export interface ComposedImage {
  manifestDigest: Digest
  manifest: Buffer
  manifestMediaType: string
  configDigest: Digest
  config: Buffer
  layers: readonly Layer[]
  sizeBytes: number
}

/** Writes the config and the manifest of an image. Equal parts give equal bytes. */
export function composeImage(parts: ImageParts): ComposedImage {
  const layers = parts.layers.map(toOciLayer)
  const config = Buffer.from(
    canonicalJson({
      ...parts.plannedConfig,
      created: parts.created,
      history: parts.history,
      rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.diffId) },
    }),
  )
  const configDigest = sha256(config)
  const manifest = Buffer.from(
    canonicalJson({
      schemaVersion: 2,
      mediaType: MANIFEST_TYPE,
      config: { mediaType: CONFIG_TYPE, digest: configDigest, size: config.length },
      layers: layers.map(({ descriptor: { mediaType, digest, size } }) => ({ mediaType, digest, size })),
      ...(parts.annotations && Object.keys(parts.annotations).length > 0 ? { annotations: parts.annotations } : {}),
    }),
  )
  const layersBytes = layers.reduce((sum, layer) => sum + layer.descriptor.size, 0)
  return {
    manifestDigest: sha256(manifest),
    manifest,
    manifestMediaType: MANIFEST_TYPE,
    configDigest,
    config,
    layers,
    sizeBytes: manifest.length + config.length + layersBytes,
  }
}

/** An OCI manifest lists OCI layers: those of a Docker base are the same bytes under another type. */
function toOciLayer(layer: Layer): Layer {
  const { mediaType } = layer.descriptor
  if (!mediaType.startsWith('application/vnd.docker.image.rootfs.diff.')) return layer
  return { ...layer, descriptor: { ...layer.descriptor, mediaType: LAYER_MEDIA_TYPES[compressionOf(mediaType)] } }
}

function sha256(bytes: Buffer): Digest {
  return Digest.parse(`sha256:${createHash('sha256').update(bytes).digest('hex')}`)
}
