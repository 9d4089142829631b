import type { Redis } from 'ioredis'
import { z } from 'zod'
import type { BuildEvent } from '#domain/build-event'
import { SlipwayError } from '#domain/errors'
import { BuildId } from '#domain/ids'
import { Bell } from '#host/bell'
import type { Announcements } from './announcements.ts'
import { cancelBuild } from './build-claims.ts'
import { missingBuild, readBuilds } from './build-records.ts'
import type { Builds, StoredEvent } from './contract.ts'
import { channels, keys } from './keys.ts'
import { runScript } from './scripts.ts'

/** Entries read at once: each may have 256 KiB of log. */
const BATCH = 64
/** Builds that a page's list shows, looked at again after an interruption. */
const RECENT = 50

const CancelMessage = z.object({ id: BuildId, reason: z.string() })

/** Telling others what happens to builds: announcements wake readers, streams and records say what it was. */
export function createBuildFeed(
  redis: Redis,
  announcements: Announcements,
): Pick<Builds, 'events' | 'watch' | 'cancel' | 'onCancel'> & { tellCancel: (id: BuildId, reason: string) => void } {
  const cancelListeners = new Set<(id: BuildId, reason: string) => void>()
  const tellCancel = (id: BuildId, reason: string) => {
    for (const listener of cancelListeners) listener(id, reason)
  }
  announcements.listen(channels.cancel, (message) => {
    // A missed one is learnt from the next renewal of the lease.
    if (message === null) return
    const { id, reason } = CancelMessage.parse(JSON.parse(message))
    tellCancel(id, reason)
  })
  return {
    events: (id, afterId, signal) => readEvents({ redis, announcements, id, afterId }, signal),
    watch: (signal) => watchBuilds(redis, announcements, signal),
    async cancel(id, reason, nowMs) {
      const outcome = await cancelBuild(redis, id, reason, nowMs)
      if (outcome === 'told') await redis.publish(channels.cancel, JSON.stringify({ id, reason }))
      return outcome !== 'final'
    },
    onCancel(listener) {
      cancelListeners.add(listener)
      return {
        [Symbol.asyncDispose]: async () => {
          cancelListeners.delete(listener)
        },
      }
    },
    tellCancel,
  }
}

interface EventsOf {
  redis: Redis
  announcements: Announcements
  id: BuildId
  afterId: string | null
}

async function* readEvents(of: EventsOf, signal: AbortSignal): AsyncGenerator<StoredEvent> {
  const { redis, id } = of
  if (of.afterId !== null && !/^\d{1,16}-\d{1,16}$/.test(of.afterId))
    throw new SlipwayError('invalid', `"${of.afterId}" is not the id of an event`)
  const bell = new Bell()
  using _ = of.announcements.listen(channels.buildChanged, (message) => {
    if (message === null || message.startsWith(`${id} `)) bell.ring()
  })
  let last = of.afterId ?? '0-0'
  while (!signal.aborted) {
    const { entries, isEnd } = await nextEvents(redis, id, last)
    for (const entry of entries) {
      if (signal.aborted) return
      yield entry
      last = entry.id
    }
    if (isEnd) return
    if (entries.length < BATCH) await bell.wait(signal)
  }
}

async function nextEvents(
  redis: Redis,
  id: BuildId,
  last: string,
): Promise<{ entries: StoredEvent[]; isEnd: boolean }> {
  const scriptKeys = [keys.build(id), keys.buildEvents(id), keys.buildRollouts(id)]
  const [isEnd, entries] = await runScript<[-1] | [0 | 1, [string, string[]][]]>(redis, 'read-events', scriptKeys, [
    last,
    BATCH,
  ])
  if (entries === undefined) throw missingBuild(id)
  return {
    isEnd: isEnd === 1,
    entries: entries.map(([entry, fields]) => ({ id: entry, event: JSON.parse(fields[1] ?? '') as BuildEvent })),
  }
}

async function* watchBuilds(redis: Redis, announcements: Announcements, signal: AbortSignal) {
  const changed = new Set<string>()
  const bell = new Bell()
  let isBehind = false
  using _ = announcements.listen(channels.buildChanged, (message) => {
    const [id = '', what] = message?.split(' ') ?? []
    if (what === 'log') return
    if (message === null) isBehind = true
    else changed.add(id)
    bell.ring()
  })
  while (!signal.aborted) {
    await bell.wait(signal)
    if (isBehind) for (const id of await redis.zrevrange(keys.builds, 0, RECENT - 1)) changed.add(id)
    isBehind = false
    const ids = [...changed]
    changed.clear()
    for (const build of await readBuilds(redis, ids)) if (build && !signal.aborted) yield build
  }
}
