import type { Redis } from 'ioredis'
import { connect, disconnect } from './connection.ts'

/** Told every message of a channel; null after an interruption, when any number may have been missed. */
type Listener = (message: string | null) => void

/** One connection per process that hears the channels, however many listen. */
export interface Announcements extends AsyncDisposable {
  listen(channel: string, listener: Listener): Disposable
}

export async function openAnnouncements(redisUrl: string, channels: readonly string[]): Promise<Announcements> {
  const listeners = new Map<string, Set<Listener>>(channels.map((channel) => [channel, new Set()]))
  const redis = connect(redisUrl, { autoResubscribe: false })
  redis.on('message', (channel: string, message: string) => {
    for (const listener of listeners.get(channel) ?? []) listener(message)
  })
  await redis.subscribe(...channels)
  redis.on('ready', () => void resubscribe(redis, channels, listeners))
  return {
    listen(channel, listener) {
      listeners.get(channel)?.add(listener)
      return { [Symbol.dispose]: () => void listeners.get(channel)?.delete(listener) }
    },
    [Symbol.asyncDispose]: () => disconnect(redis),
  }
}

async function resubscribe(
  redis: Redis,
  channels: readonly string[],
  listeners: ReadonlyMap<string, ReadonlySet<Listener>>,
): Promise<void> {
  try {
    await redis.subscribe(...channels)
  } catch {
    // The connection went again; the next `ready` subscribes.
    return
  }
  for (const set of listeners.values()) for (const listener of set) listener(null)
}
