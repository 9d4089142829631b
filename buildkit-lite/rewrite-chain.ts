import { availableParallelism } from 'node:os'
import type { BuiltGraph } from './built-result.ts'
import type { ImageSettings } from './contract.ts'
import { compressionOf } from './layers/compression.ts'
import { type LayerForm, repackLayer } from './layers/repack-layer.ts'
import { sideBySide } from './side-by-side.ts'
import { type Chain, type ChainLayer, EMPTY_CHAIN, extendChain } from './solver/chain.ts'
import { fetchBlob, isAvailable } from './solver/layer-files.ts'
import { createSemaphore } from './solver/semaphore.ts'
import { digestOf } from './solver/step-key.ts'
import type { ImageTools } from './write-image.ts'

/** Changes with what repacking makes, so that old results are not taken for new ones. */
const FORM_VERSION = 'slipway layer form 1'

/** The same layers, in the compression and with the times that are asked for. What was repacked once is kept. */
export async function rewriteChain(
  chain: Chain,
  { graph, settings }: { graph: BuiltGraph; settings: ImageSettings },
  tools: ImageTools,
  signal: AbortSignal,
): Promise<Chain> {
  const forms = chain.layers.map((one) => formOf(one, settings, graph.plan.sourceDateEpoch))
  if (forms.every((form) => form === null)) return chain
  const slots = createSemaphore(availableParallelism())
  const works = chain.layers.map((one, index) => async (signal: AbortSignal): Promise<ChainLayer> => {
    const form = forms[index]
    if (!form) return one
    using _slot = await slots.acquire(signal)
    return await rewrite(one, { form, scope: graph.request.cacheScope }, tools, signal)
  })
  const layers = await sideBySide(works, signal)
  return extendChain(EMPTY_CHAIN, layers)
}

/** Null where the layer is right as it is. Base layers keep their times, and unless forced their compression. */
function formOf({ layer, source }: ChainLayer, settings: ImageSettings, epoch: number | null): LayerForm | null {
  const { kind, level, force } = settings.compression
  const isNew = source === null
  const compression = compressionOf(layer.descriptor.mediaType)
  const latestS = isNew && settings.rewriteTimestamp ? epoch : null
  const isWanted = isNew || force
  const recompresses = isWanted && (compression !== kind || (level !== null && kind !== 'none'))
  if (!recompresses && latestS === null) return null
  return isWanted ? { compression: kind, level, latestS } : { compression, level: null, latestS }
}

async function rewrite(
  one: ChainLayer,
  { form, scope }: { form: LayerForm; scope: string },
  tools: ImageTools,
  signal: AbortSignal,
): Promise<ChainLayer> {
  const { compression, level, latestS } = form
  const key = digestOf([FORM_VERSION, one.layer.descriptor.digest, compression, level, latestS])
  return await tools.sharedWork.share(
    `layer form ${scope} ${key}`,
    async (signal) => {
      const known = await tools.cache.get(scope, key)
      if (known && (await isAvailable(tools, { layer: known.layer, source: null })))
        return { layer: known.layer, source: null }
      await fetchBlob(tools, one, signal)
      const layer = await repackLayer(one.layer, form, tools.blobs, signal)
      await tools.cache.put(scope, key, { layer, createdAtMs: tools.now() }, { place: key, components: [] })
      return { layer, source: null }
    },
    signal,
  )
}
