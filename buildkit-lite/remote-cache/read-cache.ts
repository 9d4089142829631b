import { type Descriptor, Digest, type Layer } from '#domain/digest'
import { SlipwayError } from '#domain/errors'
import type { CachedStep } from '../contract.ts'
import { ImageConfig } from '../image/config.ts'
import { Index, isIndexType, Manifest } from '../registry/manifest.ts'
import { CACHE_CONFIG_TYPE, CacheConfig, DIFF_ID_ANNOTATION, INLINE_CACHE_FIELD } from './cache-config.ts'

/** Where a cache lies: manifests and small blobs are read at once, whole and checked; layers later. */
export interface CachePlaceReader {
  /** What the source names. */
  root(this: void, signal: AbortSignal): Promise<CacheDocument>
  manifest(this: void, digest: Digest, signal: AbortSignal): Promise<CacheDocument>
  config(this: void, descriptor: Descriptor, signal: AbortSignal): Promise<Buffer>
}

export interface CacheDocument {
  mediaType: string
  bytes: Buffer
}

/** What a source knows: results by step key. */
export type ReadSteps = ReadonlyMap<string, CachedStep>

/** Reads a cache manifest in either form, or the inline caches of an image or of each image of an index. */
export async function readCacheSteps(place: CachePlaceReader, signal: AbortSignal): Promise<ReadSteps> {
  return await readDocument(place, await place.root(signal), signal)
}

async function readDocument(place: CachePlaceReader, document: CacheDocument, signal: AbortSignal): Promise<ReadSteps> {
  if (!isIndexType(document.mediaType)) return await readManifest(place, parse(Manifest, document.bytes), signal)
  const { manifests } = parse(Index, document.bytes)
  const config = manifests.find(({ mediaType }) => mediaType === CACHE_CONFIG_TYPE)
  if (config) return await readConfig(place, { config, layers: manifests }, signal)
  const steps = new Map<string, CachedStep>()
  for (const { digest, platform } of manifests) {
    if (platform?.os === 'unknown') continue
    for (const [key, step] of await readDocument(place, await place.manifest(digest, signal), signal))
      steps.set(key, step)
  }
  return steps
}

async function readManifest(place: CachePlaceReader, manifest: Manifest, signal: AbortSignal): Promise<ReadSteps> {
  if (manifest.config.mediaType === CACHE_CONFIG_TYPE) return await readConfig(place, manifest, signal)
  const image = parse(ImageConfig, await place.config(manifest.config, signal))
  const inline = image[INLINE_CACHE_FIELD]
  if (typeof inline !== 'string') return new Map()
  const diffIds = image.rootfs.diff_ids ?? []
  const layers = manifest.layers.flatMap((descriptor, index) => {
    const diffId = diffIds[index]
    return diffId ? [{ descriptor, diffId }] : []
  })
  return stepsOf(parse(CacheConfig, Buffer.from(inline, 'base64')), layers)
}

async function readConfig(
  place: CachePlaceReader,
  manifest: { config: Descriptor; layers: readonly Descriptor[] },
  signal: AbortSignal,
): Promise<ReadSteps> {
  const config = parse(CacheConfig, await place.config(manifest.config, signal))
  const layers = manifest.layers.flatMap((descriptor): Layer[] => {
    const stated = config.layers.find(({ blob }) => blob === descriptor.digest)?.annotations?.diffID
    const diffId = Digest.safeParse(stated ?? descriptor.annotations?.[DIFF_ID_ANNOTATION]).data
    return diffId ? [{ descriptor, diffId }] : []
  })
  return stepsOf(config, layers)
}

/** What is named but not there, and what we did not write, is left out. */
function stepsOf(config: CacheConfig, layers: readonly Layer[]): ReadSteps {
  const byDigest = new Map(layers.map((layer) => [layer.descriptor.digest, layer]))
  const steps = new Map<string, CachedStep>()
  for (const { digest, layers: results } of config.records) {
    const [result] = results
    const blob = result && config.layers[result.layer]?.blob
    const layer = blob && byDigest.get(blob)
    const createdAtMs = Date.parse(result?.createdAt ?? '')
    if (!layer || Number.isNaN(createdAtMs)) continue
    const { mediaType, size } = layer.descriptor
    steps.set(digest, { layer: { descriptor: { mediaType, digest: blob, size }, diffId: layer.diffId }, createdAtMs })
  }
  return steps
}

function parse<T>(
  schema: { safeParse(value: unknown): { success: true; data: T } | { success: false; error: Error } },
  bytes: Buffer,
): T {
  const parsed = schema.safeParse(parseJson(bytes))
  if (parsed.success) return parsed.data
  throw new SlipwayError('invalid', `The cache is not in a form that can be read: ${parsed.error.message}`)
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString())
  } catch {
    return undefined
  }
}
