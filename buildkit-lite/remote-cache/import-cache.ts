import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import type { Digest } from '#domain/digest'
import { messageOf, SlipwayError } from '#domain/errors'
import { formatImageReference } from '#domain/image-reference'
import type { BuildTools, CachedStep, StepCache } from '../contract.ts'
import type { BlobStore } from '../layers/blob-store.ts'
import { Index } from '../registry/manifest.ts'
import { layoutBlob } from '../solver/image-blobs.ts'
import { openLayoutFile } from '../solver/layout-files.ts'
import { REF_NAME } from './cache-directory.ts'
import type { CacheSource } from './contract.ts'
import { openLazyBlobs, type RemoteBlob } from './lazy-blobs.ts'
import { type CacheDocument, type CachePlaceReader, type ReadSteps, readCacheSteps } from './read-cache.ts'

type CacheTools = Pick<BuildTools, 'cache' | 'blobs' | 'registry'>

/**
 * The cache and the blobs of `tools` with those of others below them, to be built and exported with in their place.
 * Only what is known of the steps is read; a layer comes when its bytes are needed, and one that cannot be had is
 * forgotten (see `withoutLostLayers`). A source that cannot be read is warned of.
 */
export async function importCaches(
  sources: readonly CacheSource[],
  tools: CacheTools,
  warn: (message: string) => void,
  signal: AbortSignal,
): Promise<Pick<BuildTools, 'cache' | 'blobs'>> {
  const steps = new Map<string, CachedStep>()
  const blobs = new Map<Digest, RemoteBlob>()
  const read = sources.map(async (source) => ({ source, ...(await readSource(source, tools, signal)) }))
  for (const { source, found, failure } of await Promise.all(read)) {
    if (failure !== null) warn(`The cache ${nameOf(source)} was not imported: ${failure}`)
    for (const [key, step] of found) {
      if (steps.has(key)) continue
      steps.set(key, step)
      blobs.set(step.layer.descriptor.digest, remoteBlob(source, step, tools))
    }
  }
  const onLoss = ({ message }: Error): void => warn(`${message}. The step that makes it runs again.`)
  return { cache: layerCache(tools, steps, blobs), blobs: openLazyBlobs(tools.blobs, blobs, onLoss) }
}

async function readSource(
  source: CacheSource,
  tools: CacheTools,
  signal: AbortSignal,
): Promise<{ found: ReadSteps; failure: string | null }> {
  try {
    return { found: await readCacheSteps(openPlace(source, tools), signal), failure: null }
  } catch (error) {
    if (signal.aborted) throw signal.reason
    return { found: new Map(), failure: messageOf(error) }
  }
}

function nameOf(source: CacheSource): string {
  return source.kind === 'registry' ? formatImageReference(source.reference) : source.directory
}

function openPlace(source: CacheSource, { registry }: CacheTools): CachePlaceReader {
  if (source.kind === 'registry') {
    const { reference } = source
    return {
      root: (signal) => registry.fetchManifest(reference, signal),
      manifest: (digest, signal) => registry.fetchManifest({ ...reference, tag: null, digest }, signal),
      config: async (descriptor, signal) => await buffer(await registry.openBlob(reference, descriptor, signal)),
    }
  }
  const read = (descriptor: { digest: Digest }) => readLayoutBlob(source.directory, descriptor.digest)
  return {
    root: () => readLayoutRoot(source),
    manifest: async (digest) => documentOf(await read({ digest }), ''),
    config: read,
  }
}

async function readLayoutRoot({ directory, pick }: Extract<CacheSource, { kind: 'local' }>): Promise<CacheDocument> {
  const index = Index.parse(JSON.parse(await readFile(join(directory, 'index.json'), 'utf8')))
  const chosen = index.manifests.find(({ digest, annotations }) =>
    pick.kind === 'digest' ? digest === pick.digest : annotations?.[REF_NAME] === pick.tag,
  )
  const wanted = pick.kind === 'digest' ? pick.digest : pick.tag
  if (!chosen) throw new SlipwayError('not-found', `There is no cache ${wanted} in ${directory}/index.json`)
  return documentOf(await readLayoutBlob(directory, chosen.digest), chosen.mediaType)
}

function documentOf(bytes: Buffer, mediaType: string): CacheDocument {
  const stated = (JSON.parse(bytes.toString()) as { mediaType?: string }).mediaType
  return { bytes, mediaType: stated ?? mediaType }
}

async function readLayoutBlob(directory: string, digest: Digest): Promise<Buffer> {
  const bytes = await buffer(await openLayoutFile(directory, layoutBlob({ digest })))
  const got = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
  if (got !== digest)
    throw new SlipwayError('invalid', `A blob of ${directory} has the digest ${got}, expected ${digest}`)
  return bytes
}

function remoteBlob(source: CacheSource, { layer }: CachedStep, { registry }: CacheTools): RemoteBlob {
  const { descriptor } = layer
  const open: RemoteBlob['open'] = async (signal) =>
    source.kind === 'registry'
      ? await registry.openBlob(source.reference, descriptor, signal)
      : await openLayoutFile(source.directory, layoutBlob(descriptor))
  return { sizeBytes: descriptor.size, open }
}

/** Our own results first, as long as their layers are here; what is imported is not kept under our own keys. */
function layerCache(
  { cache, blobs }: { cache: StepCache; blobs: BlobStore },
  steps: ReadonlyMap<string, CachedStep>,
  remote: ReadonlyMap<Digest, RemoteBlob>,
): StepCache {
  return {
    get: async (scope, key) => {
      const own = await cache.get(scope, key)
      if (own && (await blobs.has(own.layer.descriptor.digest))) return own
      const other = steps.get(key)
      return other && remote.has(other.layer.descriptor.digest) ? other : own
    },
    put: (scope, key, step, origin) => cache.put(scope, key, step, origin),
    nearest: (scope, place) => cache.nearest(scope, place),
  }
}
