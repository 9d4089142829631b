import type { Redis } from 'ioredis'
import type { StoredStepCache } from './contract.ts'
import { keys } from './keys.ts'

const TTL_MS = 30 * 24 * 60 * 60 * 1000

/** Steps stay 30 days after their last use. */
export function createStepCache(redis: Redis): StoredStepCache {
  return {
    get: (scope, key) => redis.getex(keys.step(scope, key), 'PX', TTL_MS),
    async put(scope, key, value) {
      await redis.set(keys.step(scope, key), value, 'PX', TTL_MS)
    },
    getComponents: (scope, place) => redis.get(keys.place(scope, place)),
    async putComponents(scope, place, value) {
      await redis.set(keys.place(scope, place), value, 'PX', TTL_MS)
    },
  }
}
