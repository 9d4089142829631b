import { formatImageReference } from '#domain/image-reference'
import type { NamedContext } from '../contract.ts'
import type { PlannedContext } from '../plan/named-contexts.ts'
import type { ImageResolver } from '../plan/plan.ts'
import type { Registry } from '../registry/contract.ts'
import { pairLayers, registrySource } from './image-blobs.ts'
import { resolveLayoutImage } from './oci-layout.ts'

/** Finds base images in registries. */
export function createImageResolver(registry: Registry): ImageResolver {
  return {
    resolve: async (reference, platform, signal) => {
      const pulled = await registry.resolve(reference, platform, signal)
      const spelled = formatImageReference(pulled.reference)
      return {
        reference: spelled,
        manifestDigest: pulled.digest,
        config: pulled.config,
        layers: pairLayers(spelled, pulled.layers, pulled.config.rootfs.diff_ids ?? []),
        source: registrySource({ ...pulled.reference, digest: pulled.digest }),
      }
    },
  }
}

/** Named contexts as the planner takes them: images bring what resolves them. */
export function planContexts(contexts: Readonly<Record<string, NamedContext>>): Record<string, PlannedContext> {
  return Object.fromEntries(Object.entries(contexts).map(([name, context]) => [name, planContext(context)]))
}

function planContext(context: NamedContext): PlannedContext {
  switch (context.kind) {
    case 'context':
      return { kind: 'context' }
    case 'image':
      if (context.reference === 'scratch') return { kind: 'scratch' }
      return { kind: 'image', reference: context.reference }
    case 'oci-layout': {
      const { path, reference } = context
      const resolver: ImageResolver = { resolve: (_name, platform) => resolveLayoutImage(context, platform) }
      return { kind: 'image', reference: `oci-layout://${path}${reference ? `@${reference}` : ''}`, resolver }
    }
    default:
      return context satisfies never
  }
}
