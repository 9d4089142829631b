import { z } from 'zod'
import type { CachedStep, KeyComponent, StepCache } from '#buildkit-lite'
import { Layer } from '#domain/digest'
import type { StoredStepCache } from '#store/contract'

const StoredStep = z.object({ layer: Layer, createdAtMs: z.number() })
const StoredComponents = z.array(z.object({ name: z.string(), digest: z.string() }))

/** The builder's step cache in the store, shared by all workers. What cannot be read any more is a miss. */
export function createStepCache(stored: StoredStepCache): StepCache {
  return {
    async get(scope, key): Promise<CachedStep | null> {
      return read(StoredStep, await stored.get(scope, key))
    },
    async put(scope, key, step, origin) {
      await stored.put(scope, key, JSON.stringify(step))
      await stored.putComponents(scope, origin.place, JSON.stringify(origin.components))
    },
    async nearest(scope, place): Promise<readonly KeyComponent[] | null> {
      return read(StoredComponents, await stored.getComponents(scope, place))
    },
  }
}

function read<T>(schema: z.ZodType<T>, text: string | null): T | null {
  return text === null ? null : (schema.safeParse(JSON.parse(text)).data ?? null)
}
