import type { Layer } from '#domain/digest'
import type { CachedStep } from '../contract.ts'
import type { Chain } from './chain.ts'

/** The steps of a build whose files are there and whose layers are still being made. */
export interface UnfinishedLayers {
  /**
   * What comes first of the two: a step's files, or the whole of it. `onFailure` hears what goes wrong after that;
   * what goes wrong before is thrown.
   */
  first(
    files: Promise<CachedStep>,
    whole: Promise<CachedStep>,
    onFailure: (error: unknown) => void,
  ): Promise<CachedStep>
  /** Waits until nothing is being made any more, well or ill. */
  settle(): Promise<void>
  /** The chain with the layers that were made, when all is well. */
  finish(chain: Chain): Chain
}

export function trackUnfinishedLayers(): UnfinishedLayers {
  const works: Promise<void>[] = []
  const finished = new Map<Layer, Layer>()
  return {
    first: async (files, whole, onFailure) => {
      const step = await Promise.race([files, whole])
      const watch = async (): Promise<void> => {
        try {
          finished.set(step.layer, (await whole).layer)
        } catch (error) {
          onFailure(error)
        }
      }
      works.push(watch())
      return step
    },
    settle: async () => void (await Promise.all(works)),
    finish: ({ layers, id }) => ({
      id,
      layers: layers.map((one) => ({ ...one, layer: finished.get(one.layer) ?? one.layer })),
    }),
  }
}
