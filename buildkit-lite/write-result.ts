import { SlipwayError } from '#domain/errors'
import type { BuiltGraph, BuiltResult, PlatformImage } from './built-result.ts'
import type { ImageSettings } from './contract.ts'
import { annotationsAt } from './image/annotations.ts'
import { composeIndex, type IndexEntry } from './image/compose-index.ts'
import { DOCKER_TYPES, OCI_TYPES } from './image/media-types.ts'
import { type ImageTools, writeImage } from './write-image.ts'

export interface WriteOptions {
  settings: ImageSettings
  /** What the images are going to be called; provenance names them so. */
  names: readonly string[]
}

/**
 * Writes what was built: one image a platform, attestations where they are asked for, and an index of all of them. A
 * single image without attestations is its own result. The same graphs can be written again in another form.
 */
export async function writeResult(
  graphs: readonly BuiltGraph[],
  { settings }: WriteOptions,
  tools: ImageTools,
  signal: AbortSignal,
): Promise<BuiltResult> {
  const types = settings.ociMediaTypes ? OCI_TYPES : DOCKER_TYPES
  const written = await Promise.all(graphs.map((graph) => writeImage(graph, settings, { tools, types }, signal)))
  const [first, ...others] = written
  if (!first) throw new SlipwayError('internal', 'A result of no platforms was asked for, expected at least one')
  const attestations: BuiltResult['attestations'] = []
  const images: BuiltResult['images'] = [first, ...others]
  const result = { images, attestations, graphs, notes: [] }
  if (images.length === 1 && attestations.length === 0) return { ...result, ...single(first, settings) }
  const entries = images.map((one) => imageEntry(one, settings))
  const index = composeIndex(entries, annotationsAt(settings, 'index', null), types)
  return { ...result, ...index, isIndex: true, annotations: annotationsAt(settings, 'index-descriptor', null) }
}

function single({ image, platform }: PlatformImage, settings: ImageSettings) {
  if (settings.annotations.some(({ place }) => place === 'index' || place === 'index-descriptor'))
    throw new SlipwayError(
      'invalid',
      'There are annotations for an index, but a single image without attestations has none: give them to the manifest',
    )
  const { manifestDigest: digest, manifest: bytes, manifestMediaType: mediaType } = image
  return {
    digest,
    bytes,
    mediaType,
    isIndex: false,
    annotations: annotationsAt(settings, 'manifest-descriptor', platform),
  }
}

function imageEntry({ image, platform }: PlatformImage, settings: ImageSettings): IndexEntry {
  return {
    mediaType: image.manifestMediaType,
    digest: image.manifestDigest,
    sizeBytes: image.manifest.length,
    platform,
    annotations: annotationsAt(settings, 'manifest-descriptor', platform),
  }
}
