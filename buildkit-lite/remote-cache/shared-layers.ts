import type { Digest } from '#domain/digest'
import type { ImageReference } from '#domain/image-reference'
import type { BuildTools, CachedStep } from '../contract.ts'
import { openLazyBlobs, type RemoteBlob } from './lazy-blobs.ts'
import type { LostLayerError } from './lost-layer.ts'
import { type MadeLayer, worthSharing } from './worth-sharing.ts'

/** One build's view of a step cache that several machines share, whose layers are in a repository of a registry. */
export interface SharedLayers extends Pick<BuildTools, 'cache' | 'blobs'> {
  /** The layers made by now that are worth sending to the repository. */
  worthSharing(this: void): readonly CachedStep['layer'][]
}

/**
 * The cache and the blobs of `tools`, where a step counts as stored too if its layer is only in the repository `home`.
 * Its bytes come when they are needed, checked; a layer that is gone there or broken is none, and its step runs again.
 */
export function openSharedLayers(
  { cache, blobs, registry }: Pick<BuildTools, 'cache' | 'blobs' | 'registry'>,
  home: ImageReference,
  onLoss: (loss: LostLayerError) => void,
  signal: AbortSignal,
): SharedLayers {
  const remote = new Map<Digest, RemoteBlob>()
  const missing = new Set<Digest>()
  const made: MadeLayer[] = []
  const find = async ({ descriptor }: CachedStep['layer']): Promise<void> => {
    const { digest, size } = descriptor
    if (remote.has(digest) || missing.has(digest) || (await blobs.has(digest))) return
    // A registry that cannot be asked has nothing, which is no reason to fail.
    const isThere = await registry.hasBlob(home, digest, signal).catch(() => false)
    if (!isThere) return void missing.add(digest)
    const open: RemoteBlob['open'] = (signal) => registry.openBlob(home, descriptor, signal)
    remote.set(digest, { sizeBytes: size, open })
  }
  const onRemoteLoss = (loss: LostLayerError): void => {
    missing.add(loss.digest)
    onLoss(loss)
  }
  return {
    blobs: openLazyBlobs(blobs, remote, onRemoteLoss),
    cache: {
      get: async (scope, key) => {
        const step = await cache.get(scope, key)
        if (step) await find(step.layer)
        return step
      },
      put: async (scope, key, step, origin) => {
        await cache.put(scope, key, step, origin)
        const { layer, tookMs } = step
        // What was found was shared by whoever made it.
        if (tookMs !== undefined) made.push({ layer, tookMs, stage: origin.stage ?? '' })
      },
      nearest: (scope, place) => cache.nearest(scope, place),
    },
    worthSharing: () => worthSharing(made),
  }
}
