import { z } from 'zod'
import { Digest, type Layer } from '#domain/digest'

/** The config of a cache manifest, as BuildKit calls it. */
export const CACHE_CONFIG_TYPE = 'application/vnd.buildkit.cacheconfig.v0'
/** The field of an image's config that holds the same, as base64, where the cache goes with the image. */
export const INLINE_CACHE_FIELD = 'moby.buildkit.cache.v0'
/** Annotations of a layer's descriptor in a cache manifest. */
export const DIFF_ID_ANNOTATION = 'containerd.io/uncompressed'
export const CREATED_ANNOTATION = 'buildkit/createdat'

const CacheLayer = z.object({
  blob: Digest,
  /** The layer below, by its place in the list; -1 for none in this cache. */
  parent: z.number().int().default(-1),
  annotations: z
    .object({
      mediaType: z.string().optional(),
      diffID: Digest.optional(),
      size: z.number().int().nonnegative().optional(),
      createdAt: z.string().optional(),
    })
    .optional(),
})

const CacheRecord = z.object({
  /** What the result is found by. */
  digest: z.string(),
  /** The results, each a place in the list of layers. */
  layers: z.array(z.object({ layer: z.number().int(), createdAt: z.string().optional() })).default([]),
  /** Records that this one was made on, by their places. */
  inputs: z.array(z.array(z.object({ link: z.number().int(), selector: z.string().optional() }))).optional(),
})

/** What a cache knows: layers, and the keys of the steps that made them. Only the form is BuildKit's, keys are ours. */
export const CacheConfig = z.object({
  layers: z.array(CacheLayer).default([]),
  records: z.array(CacheRecord).default([]),
})
export type CacheConfig = z.infer<typeof CacheConfig>

/** A step with its result, as it goes into a cache. */
export interface ExportedStep {
  keys: readonly string[]
  layer: Layer
  createdAtMs: number
  /** The step below. */
  input: ExportedStep | null
}

/** The config that says of each step what it made. Layers stand in the order in which they come first. */
export function cacheConfigOf(steps: readonly ExportedStep[]): CacheConfig {
  const layers = new Map<Digest, CacheConfig['layers'][number]>()
  const places = new Map<Digest, number>()
  const records = new Map<string, CacheConfig['records'][number]>()
  const recordPlaces = new Map<string, number>()
  for (const { keys, layer, createdAtMs, input } of steps) {
    const { digest, mediaType, size } = layer.descriptor
    const createdAt = new Date(createdAtMs).toISOString()
    if (!places.has(digest)) {
      const parent = input ? (places.get(input.layer.descriptor.digest) ?? -1) : -1
      places.set(digest, layers.size)
      layers.set(digest, { blob: digest, parent, annotations: { mediaType, diffID: layer.diffId, size, createdAt } })
    }
    const link = input?.keys[0] === undefined ? undefined : recordPlaces.get(input.keys[0])
    for (const key of keys) {
      if (records.has(key)) continue
      recordPlaces.set(key, records.size)
      const result = { layer: places.get(digest) ?? 0, createdAt }
      records.set(key, { digest: key, layers: [result], ...(link === undefined ? {} : { inputs: [[{ link }]] }) })
    }
  }
  return { layers: [...layers.values()], records: [...records.values()] }
}
