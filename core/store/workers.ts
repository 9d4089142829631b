import type { Redis } from 'ioredis'
import { z } from 'zod'
import { BuildId, WorkerId } from '#domain/ids'
import type { Workers } from './contract.ts'
import { keys } from './keys.ts'

const StoredWorker = z.object({
  id: WorkerId,
  host: z.string(),
  version: z.string(),
  startedAtMs: z.number(),
  seenAtMs: z.number(),
  capacity: z.number(),
  running: z.array(BuildId),
  problem: z.string().nullable().default(null),
})

/** Workers are what they last said; Redis lets those go that say nothing more. */
export function createWorkers(redis: Redis): Workers {
  return {
    async beat(worker, ttlMs) {
      const beat = redis.multi().set(keys.worker(worker.id), JSON.stringify(worker), 'PX', ttlMs)
      await beat.sadd(keys.workers, worker.id).exec()
    },
    async leave(id) {
      await redis.multi().del(keys.worker(id)).srem(keys.workers, id).exec()
    },
    async list() {
      const ids = (await redis.smembers(keys.workers)) as WorkerId[]
      if (ids.length === 0) return []
      const records = await redis.mget(ids.map((id) => keys.worker(id)))
      const gone = ids.filter((_, index) => records[index] === null)
      if (gone.length > 0) await redis.srem(keys.workers, ...gone)
      return records
        .filter((record) => typeof record === 'string')
        .map((record) => StoredWorker.parse(JSON.parse(record)))
        .sort((a, b) => a.startedAtMs - b.startedAtMs)
    },
  }
}
