import type { ImageReference } from '#domain/image-reference'
import { RegistryError } from './registry-error.ts'

/** By registry: `HOST[:PORT][/PATH]`, in the order in which they are asked. */
export type Mirrors = Readonly<Record<string, readonly string[]>>

/**
 * Does `work` with the first mirror of the reference's registry that can, and else with the registry itself, whose
 * error is the one that counts. What comes from a mirror is checked against the same digests.
 */
export async function viaMirrors<T>(
  reference: ImageReference,
  mirrors: Mirrors | undefined,
  work: (from: ImageReference) => Promise<T>,
): Promise<T> {
  for (const mirror of mirrors?.[reference.registry] ?? []) {
    try {
      return await work(mirrored(reference, mirror))
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error
    }
  }
  return await work(reference)
}

function mirrored(reference: ImageReference, mirror: string): ImageReference {
  const [registry = '', ...path] = mirror.split('/')
  return { ...reference, registry, repository: [...path, reference.repository].join('/') }
}
