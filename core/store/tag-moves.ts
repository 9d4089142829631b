import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { SlipwayError } from '#domain/errors'
import type { TagMoves } from './contract.ts'
import { keys } from './keys.ts'
import { runScript } from './scripts.ts'

/** A manifest's PUT takes milliseconds; a registry that hangs longer than this loses the protection, not the push. */
const LOCK_MS = 60_000
const RETRY_MS = 50

export function createTagMoves(redis: Redis): TagMoves {
  return {
    async move(project, tag, number, move) {
      const lock = keys.tagLock(project, tag)
      const holder = randomUUID()
      const until = Date.now() + 2 * LOCK_MS
      while (!(await takeLock(redis, lock, holder))) {
        if (Date.now() > until)
          throw new SlipwayError('unavailable', `Tag ${tag} of ${project} is being moved by another build`)
        await sleep(RETRY_MS)
      }
      try {
        const newest = Number((await redis.hget(keys.projectTags(project), tag)) ?? 0)
        if (newest > number) return false
        await move()
        await redis.hset(keys.projectTags(project), tag, number)
        return true
      } finally {
        await runScript(redis, 'extend-lock', [lock], [holder, 0])
      }
    },
  }
}

/** A lock that is ours already was taken by a command whose answer got lost. */
async function takeLock(redis: Redis, lock: string, holder: string): Promise<boolean> {
  return (await redis.set(lock, holder, 'PX', LOCK_MS, 'NX')) === 'OK' || (await redis.get(lock)) === holder
}
