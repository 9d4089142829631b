import { formatImageReference, parseImageReference } from '#domain/image-reference'
import type { NamedContext } from '../contract.ts'
import type { ImageResolver, Platform, ResolvedImage } from '../plan/plan.ts'
import type { Registry } from '../registry/contract.ts'
import { pairLayers, registrySource } from './image-blobs.ts'
import { resolveLayoutImage } from './oci-layout.ts'

/** Finds base images: among the named contexts first, then in registries. Each name is resolved once a build. */
export function createImageResolver(
  registry: Registry,
  namedContexts: Readonly<Record<string, NamedContext>>,
): ImageResolver {
  const known = new Map<string, Promise<ResolvedImage>>()
  const byName = new Map(Object.entries(namedContexts).flatMap(([name, context]) => spellings(name, context)))
  return {
    resolve: async (reference, platform, signal) => {
      const key = JSON.stringify([reference, platform])
      const resolved =
        known.get(key) ?? resolve(registry, byName.get(spelledOut(reference)), reference, platform, signal)
      known.set(key, resolved)
      return await resolved
    },
  }
}

async function resolve(
  registry: Registry,
  named: NamedContext | undefined,
  reference: string,
  ...[platform, signal]: [Platform, AbortSignal]
): Promise<ResolvedImage> {
  if (named?.kind === 'oci-layout') return await resolveLayoutImage(named, platform)
  const name = named?.kind === 'image' ? named.reference : reference
  const pulled = await registry.resolve(name, platform, signal)
  const spelled = formatImageReference(pulled.reference)
  return {
    reference: spelled,
    manifestDigest: pulled.digest,
    config: pulled.config,
    layers: pairLayers(spelled, pulled.layers, pulled.config.rootfs.diff_ids ?? []),
    source: registrySource({ ...pulled.reference, digest: pulled.digest }),
  }
}

/** A context named `alpine` also stands for `docker.io/library/alpine:latest`. */
function spellings(name: string, context: NamedContext): [string, NamedContext][] {
  return [...new Set([name, spelledOut(name)])].map((spelling) => [spelling, context])
}

function spelledOut(reference: string): string {
  try {
    return formatImageReference(parseImageReference(reference))
  } catch {
    // Names of contexts need not be image references.
    return reference
  }
}
