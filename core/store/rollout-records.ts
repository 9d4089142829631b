import type { Redis } from 'ioredis'
import type { BuildEvent } from '#domain/build-event'
import { SlipwayError } from '#domain/errors'
import type { RolloutId } from '#domain/ids'
import { Rollout, type RolloutStatus } from '#domain/rollout'
import type { Announcements } from './announcements.ts'
import type { Builds } from './contract.ts'
import { channels, keys } from './keys.ts'
import { runScript } from './scripts.ts'

/** What the parts of this store know of rollouts. */
export interface RolloutContext {
  redis: Redis
  announcements: Announcements
  builds: Pick<Builds, 'appendAfter'>
}

export async function readRollouts(redis: Redis, ids: readonly string[]): Promise<(Rollout | null)[]> {
  if (ids.length === 0) return []
  const pipeline = redis.pipeline()
  for (const id of ids) pipeline.hget(keys.rollout(id as RolloutId), 'record')
  const replies = (await pipeline.exec()) ?? []
  return replies.map(([error, record]) => {
    if (error) throw error
    return typeof record === 'string' ? Rollout.parse(JSON.parse(record)) : null
  })
}

export async function updateRollout(redis: Redis, id: RolloutId, change: Partial<Rollout>): Promise<Rollout> {
  for (;;) {
    const before = await redis.hget(keys.rollout(id), 'record')
    if (before === null) throw missingRollout(id)
    const after = Rollout.parse({ ...JSON.parse(before), ...change })
    const args = [before, JSON.stringify(after), 'status', after.status]
    if ((await runScript<number>(redis, 'swap-record', [keys.rollout(id)], args)) !== 1) continue
    if (!isOpen(after.status)) await settle(redis, after)
    await redis.publish(channels.rolloutChanged, id)
    return after
  }
}

/** A rollout that ended is open no more, and frees its target. */
async function settle(redis: Redis, { id, target, digest, status }: Rollout): Promise<void> {
  await redis.zrem(keys.openRollouts, id)
  if (status === 'succeeded') await redis.hset(keys.target(target), 'verified', digest)
  const lock = keys.rolloutLock(target)
  const holder = await redis.get(lock)
  if (holder?.startsWith(`${id} `)) await runScript(redis, 'extend-lock', [lock], [holder, 0])
}

/** Whether a rollout still has something ahead of it. */
export function isOpen(status: RolloutStatus): boolean {
  return status === 'pending' || status === 'progressing'
}

/** The event by which builds learn how a rollout goes. */
export function rolloutProgress(id: RolloutId, status: RolloutStatus, message: string, atMs: number): BuildEvent {
  return { kind: 'rollout-progressed', atMs, rollout: id, status, message }
}

export function missingRollout(id: string): SlipwayError {
  return new SlipwayError('not-found', `There is no rollout ${id}`)
}
