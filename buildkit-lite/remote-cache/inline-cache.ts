import type { BuiltGraph } from '../built-result.ts'
import type { ImageSettings } from '../contract.ts'
import type { Chain } from '../solver/chain.ts'
import { chainOf } from '../solver/target-chain.ts'
import { cacheConfigOf, INLINE_CACHE_FIELD } from './cache-config.ts'
import { collectSteps } from './collect-steps.ts'

/** What asks for it in a Dockerfile's own words, as BuildKit has it. */
const INLINE_CACHE_ARGUMENT = 'BUILDKIT_INLINE_CACHE'

/**
 * The field of an image's config by which it can be built from as a cache. `written` are the layers of the image as it
 * is written: steps whose layers hold something else by then are left out. A base image's own field is not kept.
 */
export function inlineCacheField(
  graph: BuiltGraph,
  { inlineCache = false }: ImageSettings,
  written: Chain,
): Record<string, unknown> {
  const isInherited = INLINE_CACHE_FIELD in graph.plan.target.config
  const isAsked = inlineCache || graph.request.buildArgs[INLINE_CACHE_ARGUMENT] === '1'
  if (!isAsked) return isInherited ? { [INLINE_CACHE_FIELD]: undefined } : {}
  const planned = chainOf(graph).layers
  const forms = new Map(planned.map(({ layer }, index) => [layer.descriptor.digest, written.layers[index]?.layer]))
  const steps = collectSteps(graph, 'min').flatMap((step) => {
    const layer = forms.get(step.layer.descriptor.digest)
    return layer && layer.diffId === step.layer.diffId ? [{ ...step, layer }] : []
  })
  return { [INLINE_CACHE_FIELD]: Buffer.from(JSON.stringify(cacheConfigOf(steps))).toString('base64') }
}
