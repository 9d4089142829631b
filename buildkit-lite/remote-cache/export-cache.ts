import { availableParallelism } from 'node:os'
import { Readable } from 'node:stream'
import type { Digest, Layer } from '#domain/digest'
import { messageOf } from '#domain/errors'
import { formatImageReference, Tag } from '#domain/image-reference'
import type { BuiltGraph } from '../built-result.ts'
import { compressionOf } from '../layers/compression.ts'
import { repackLayer } from '../layers/repack-layer.ts'
import { fetchBlob, openLayer } from '../solver/layer-files.ts'
import { createSemaphore } from '../solver/semaphore.ts'
import type { ImageTools } from '../write-image.ts'
import type { ExportedStep } from './cache-config.ts'
import { openCacheDirectory } from './cache-directory.ts'
import { composeCacheManifest } from './cache-manifest.ts'
import { type CollectedStep, collectSteps } from './collect-steps.ts'
import type { CacheForm, CacheTarget } from './contract.ts'
import { LostLayerError } from './lost-layer.ts'

type WrittenTarget = Exclude<CacheTarget, { kind: 'inline' }>

/** Where a cache is written: blobs first, of which those that are there already are not sent, then the manifest. */
export interface CacheWriter {
  blob(
    this: void,
    blob: { digest: Digest; sizeBytes: number; open: () => Promise<Readable> },
    signal: AbortSignal,
  ): Promise<void>
  manifest(
    this: void,
    manifest: { digest: Digest; bytes: Buffer; mediaType: string },
    signal: AbortSignal,
  ): Promise<void>
}

/** Writes the steps of what was built to where others can take them from. What may fail by its form is warned of. */
export async function exportCaches(
  graphs: readonly BuiltGraph[],
  targets: readonly CacheTarget[],
  { tools, warn }: { tools: ImageTools; warn: (message: string) => void },
  signal: AbortSignal,
): Promise<void> {
  for (const target of targets) {
    // It went with the image.
    if (target.kind === 'inline') continue
    try {
      await exportCache(graphs, target, tools, signal)
    } catch (error) {
      if (!target.ignoreError || signal.aborted || error instanceof LostLayerError) throw error
      warn(`The cache ${nameOf(target)} was not exported: ${messageOf(error)}`)
    }
  }
}

function nameOf(target: WrittenTarget): string {
  return target.kind === 'registry' ? formatImageReference(target.reference) : target.directory
}

async function exportCache(
  graphs: readonly BuiltGraph[],
  target: WrittenTarget,
  tools: ImageTools,
  signal: AbortSignal,
): Promise<void> {
  const collected = graphs.flatMap((graph) => collectSteps(graph, target.mode))
  const writer = target.kind === 'registry' ? registryWriter(target, tools) : await openCacheDirectory(target)
  const steps = await writeLayers(collected, { target, writer, tools }, signal)
  const { config, manifest } = composeCacheManifest(steps, target)
  const { digest, bytes } = config
  await writer.blob({ digest, sizeBytes: bytes.length, open: async () => Readable.from([bytes]) }, signal)
  await writer.manifest(manifest, signal)
}

function registryWriter({ reference }: Extract<CacheTarget, { kind: 'registry' }>, tools: ImageTools): CacheWriter {
  const to = { ...reference, tag: reference.tag ?? LATEST, digest: null }
  return {
    blob: (blob, signal) => tools.registry.pushBlob(to, blob, signal),
    manifest: (manifest, signal) => tools.registry.pushManifest(to, manifest, signal),
  }
}

const LATEST = Tag.parse('latest')

/** Each layer once, in the compression that is asked for; resolves with the steps as they are to be named. */
async function writeLayers(
  collected: readonly CollectedStep[],
  work: { target: CacheForm; writer: CacheWriter; tools: ImageTools },
  signal: AbortSignal,
): Promise<ExportedStep[]> {
  const slots = createSemaphore(Math.max(2, availableParallelism()))
  const written = new Map<Digest, Promise<Layer>>()
  const write = async (step: CollectedStep): Promise<Layer> => {
    using _slot = await slots.acquire(signal)
    return await writeLayer(step, work, signal)
  }
  for (const step of collected) {
    const { digest } = step.layer.descriptor
    if (!written.has(digest)) written.set(digest, write(step))
  }
  await Promise.all(written.values())
  const renamed = new Map<CollectedStep, ExportedStep>()
  for (const step of collected) {
    const { keys, createdAtMs } = step
    const layer = (await written.get(step.layer.descriptor.digest)) ?? step.layer
    const input = step.input ? (renamed.get(step.input) ?? null) : null
    renamed.set(step, { keys, createdAtMs, layer, input })
  }
  return [...renamed.values()]
}

async function writeLayer(
  { layer, chained }: CollectedStep,
  { target, writer, tools }: { target: CacheForm; writer: CacheWriter; tools: ImageTools },
  signal: AbortSignal,
): Promise<Layer> {
  const { compression } = target
  const isRight = compression === null || compressionOf(layer.descriptor.mediaType) === compression
  if (!isRight) await fetchBlob(tools, chained, signal)
  const form = { level: null, latestS: null }
  const right = isRight ? layer : await repackLayer(layer, { ...form, compression }, tools.blobs, signal)
  const { digest, size: sizeBytes } = right.descriptor
  const open = () => openLayer(tools, { layer: right, source: null }, signal)
  await writer.blob({ digest, sizeBytes, open }, signal)
  return right
}
