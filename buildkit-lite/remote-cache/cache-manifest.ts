import { createHash } from 'node:crypto'
import { type Descriptor, Digest } from '#domain/digest'
import { DOCKER_TYPES, OCI_TYPES } from '../image/media-types.ts'
import {
  CACHE_CONFIG_TYPE,
  type CacheConfig,
  CREATED_ANNOTATION,
  cacheConfigOf,
  DIFF_ID_ANNOTATION,
  type ExportedStep,
} from './cache-config.ts'
import type { CacheForm } from './contract.ts'

/** A blob that is small enough to be at hand. */
interface SmallBlob {
  digest: Digest
  bytes: Buffer
}

/** Everything of a cache but its layers. */
export interface CacheManifest {
  config: SmallBlob
  manifest: SmallBlob & { mediaType: string }
}

/** Writes the manifest of a cache with these steps, whose layers are what it names. Equal steps give equal bytes. */
export function composeCacheManifest(
  steps: readonly ExportedStep[],
  { imageManifest, ociMediaTypes }: Pick<CacheForm, 'imageManifest' | 'ociMediaTypes'>,
): CacheManifest {
  const types = ociMediaTypes ? OCI_TYPES : DOCKER_TYPES
  const cacheConfig = cacheConfigOf(steps)
  const config = smallBlob(cacheConfig)
  const layers = layerDescriptors(cacheConfig, types.layer)
  const named: Descriptor = { mediaType: CACHE_CONFIG_TYPE, digest: config.digest, size: config.bytes.length }
  const mediaType = imageManifest ? types.manifest : types.index
  const content = imageManifest ? { config: named, layers } : { manifests: [...layers, named] }
  return { config, manifest: { mediaType, ...smallBlob({ schemaVersion: 2, mediaType, ...content }) } }
}

function layerDescriptors({ layers }: CacheConfig, typeOf: (mediaType: string) => string): Descriptor[] {
  return layers.map(({ blob: digest, annotations }) => {
    const { mediaType = '', size = 0, diffID = '', createdAt = '' } = annotations ?? {}
    const named = { [DIFF_ID_ANNOTATION]: diffID, [CREATED_ANNOTATION]: createdAt }
    return { mediaType: typeOf(mediaType), digest, size, annotations: named }
  })
}

function smallBlob(value: unknown): SmallBlob {
  const bytes = Buffer.from(JSON.stringify(value))
  return { bytes, digest: Digest.parse(`sha256:${createHash('sha256').update(bytes).digest('hex')}`) }
}
