import { createHash } from 'node:crypto'
import { Digest, type Layer } from '#domain/digest'
import { canonicalJson } from './canonical-json.ts'
import type { HistoryEntry, ImageConfig } from './config.ts'
import { type MediaTypes, OCI_TYPES } from './media-types.ts'

export interface ImageParts {
  /** Everything but times, history and layers, which the other parts say. */
  plannedConfig: ImageConfig
  history: readonly HistoryEntry[]
  /** The base image's, then the new ones. */
  layers: readonly Layer[]
  created: string | null
  annotations?: Readonly<Record<string, string>>
  /** OCI's where none are given. */
  types?: MediaTypes
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
  const types = parts.types ?? OCI_TYPES
  const layers = parts.layers.map(({ descriptor, diffId }) => ({
    descriptor: { ...descriptor, mediaType: types.layer(descriptor.mediaType) },
    diffId,
  }))
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
      mediaType: types.manifest,
      config: { mediaType: types.config, digest: configDigest, size: config.length },
      layers: layers.map(({ descriptor: { mediaType, digest, size } }) => ({ mediaType, digest, size })),
      ...(parts.annotations && Object.keys(parts.annotations).length > 0 ? { annotations: parts.annotations } : {}),
    }),
  )
  const layersBytes = layers.reduce((sum, layer) => sum + layer.descriptor.size, 0)
  return {
    manifestDigest: sha256(manifest),
    manifest,
    manifestMediaType: types.manifest,
    configDigest,
    config,
    layers,
    sizeBytes: manifest.length + config.length + layersBytes,
  }
}

export function sha256(bytes: Buffer): Digest {
  return Digest.parse(`sha256:${createHash('sha256').update(bytes).digest('hex')}`)
}
