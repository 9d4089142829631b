import type { Digest } from '#domain/digest'
import { messageOf, SlipwayError } from '#domain/errors'

/**
 * A layer that a cache promised and that cannot be had as promised. The cache has forgotten it by now: the same work,
 * done again, runs the step that makes it.
 */
export class LostLayerError extends SlipwayError {
  readonly digest: Digest

  constructor(digest: Digest, cause: unknown) {
    super('source-unavailable', `Layer ${digest} of a cache cannot be used: ${messageOf(cause)}`, { cause })
    this.digest = digest
  }
}

/** Does the work, and again as long as it fails for layers that a cache has lost meanwhile. */
export async function withoutLostLayers<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (!isLost(error)) throw error
    }
  }
}

/** Whether something failed for a lost layer, and so for nothing that anybody did wrong. */
export function isLost(error: unknown): boolean {
  if (error instanceof LostLayerError) return true
  return error instanceof Error && error.cause !== undefined && isLost(error.cause)
}
