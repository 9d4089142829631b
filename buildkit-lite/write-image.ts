import type { Layer } from '#domain/digest'
import type { BuiltGraph, PlatformImage } from './built-result.ts'
import type { BuildTools, ImageSettings } from './contract.ts'
import { annotationsAt } from './image/annotations.ts'
import { composeImage } from './image/compose-image.ts'
import { fillHistory, type StepLayer } from './image/fill-history.ts'
import type { MediaTypes } from './image/media-types.ts'
import { inlineCacheField } from './remote-cache/inline-cache.ts'
import { rewriteChain } from './rewrite-chain.ts'
import { repositoryOf } from './solver/image-blobs.ts'
import { type LayerTools, openLayer } from './solver/layer-files.ts'
import { chainOf } from './solver/target-chain.ts'

export type ImageTools = LayerTools & Pick<BuildTools, 'cache' | 'now'>

/** Writes the image of one platform: its layers in the form that is asked for, its config and its manifest. */
export async function writeImage(
  graph: BuiltGraph,
  settings: ImageSettings,
  { tools, types }: { tools: ImageTools; types: MediaTypes },
  signal: AbortSignal,
): Promise<PlatformImage> {
  const { plan, platform } = graph
  const chain = await rewriteChain(chainOf(graph), { graph, settings }, tools, signal)
  const { entries, created } = fillHistory(plan.target.history, stepLayersOf(graph), plan.sourceDateEpoch)
  const image = composeImage({
    plannedConfig: { ...plan.target.config, ...inlineCacheField(graph, settings, chain) },
    history: entries,
    layers: chain.layers.map(({ layer }) => layer),
    created,
    annotations: annotationsAt(settings, 'manifest', platform),
    types,
  })
  const byDigest = new Map(chain.layers.map((one) => [one.layer.descriptor.digest, one]))
  const open = async (layer: Layer, signal: AbortSignal) =>
    await openLayer(tools, byDigest.get(layer.descriptor.digest) ?? { layer, source: null }, signal)
  const base = chain.layers.find(({ source }) => source !== null)
  const baseRepository = base?.source ? repositoryOf(base.source) : null
  return { platform, image: { ...image, content: { open }, baseRepository } }
}

function stepLayersOf({ solved }: BuiltGraph): Map<number, StepLayer> {
  const stepLayers = new Map<number, StepLayer>()
  for (const [index, step] of solved.entries()) {
    const layer = step.chain.layers.at(-1)?.layer
    if (layer && step.createdAtMs !== null) stepLayers.set(index, { layer, createdAtMs: step.createdAtMs })
  }
  return stepLayers
}
