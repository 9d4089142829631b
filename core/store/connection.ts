import { Redis, type RedisOptions } from 'ioredis'
import { defineScripts } from './scripts.ts'

type ConnectionOptions = Omit<RedisOptions, 'replyMapping'>

/** A command waits about as long for Redis to be back as a claim is held: 20 s, while the pauses grow by 50 ms. */
const MAX_RETRIES = 28

/** `unix:///path`, `redis://…` or `rediss://…`. Connects at once, and again after every interruption. */
export function connect(redisUrl: string, options: ConnectionOptions = {}): Redis {
  const all: ConnectionOptions = {
    maxRetriesPerRequest: MAX_RETRIES,
    retryStrategy: (times) => Math.min(50 * times, 2000),
    ...options,
  }
  const redis = redisUrl.startsWith('unix://')
    ? new Redis(decodeURIComponent(redisUrl.slice('unix://'.length)), all)
    : new Redis(redisUrl, all)
  // Commands reject by themselves; without a listener a lost connection would end the process.
  redis.on('error', () => {})
  defineScripts(redis)
  return redis
}

/** Ends a connection: politely if Redis answers within a second, at once if not. */
export async function disconnect(redis: Redis): Promise<void> {
  if (redis.status !== 'ready') return redis.disconnect()
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, 1000)
  await Promise.race([redis.quit().catch(() => {}), promise])
  clearTimeout(timer)
  redis.disconnect()
}
