import { SlipwayError } from '#domain/errors'
import type { BuildId, RolloutId, WorkerId } from '#domain/ids'
import type { Rollout } from '#domain/rollout'
import { keys, targetName } from './keys.ts'
import { isOpen, type RolloutContext, readRollouts, rolloutProgress, updateRollout } from './rollout-records.ts'

interface Claimant {
  worker: WorkerId
  leaseMs: number
  nowMs: number
}

/**
 * Takes the next rollout: of each target only the newest matters, and a Deployment has one rollout at a time. The lock
 * is a lease by Redis's clock; a rollout whose worker died is open, its lock is gone, and so it is taken again.
 */
export async function claimRollout(context: RolloutContext, claimant: Claimant): Promise<Rollout | null> {
  const { redis } = context
  for (const rollout of newestOfTargets(await openRollouts(context))) {
    const lock = keys.rolloutLock(rollout.target)
    const holder = `${rollout.id} ${claimant.worker}`
    if ((await redis.set(lock, holder, 'PX', claimant.leaseMs, 'NX')) !== 'OK') continue
    // Whatever was read before the lock was ours may be old.
    const ofTarget = (await openRollouts(context)).filter(sameTarget(rollout))
    const newest = ofTarget.at(-1)
    if (newest?.id !== rollout.id) {
      await redis.del(lock)
      continue
    }
    for (const older of ofTarget.slice(0, -1)) await supersede(context, older, newest, claimant.nowMs)
    return updateRollout(redis, rollout.id, {
      status: 'progressing',
      startedAtMs: rollout.startedAtMs ?? claimant.nowMs,
    })
  }
  return null
}

/** In the order they were requested. */
async function openRollouts({ redis }: RolloutContext): Promise<Rollout[]> {
  const ids = (await redis.zrange(keys.openRollouts, '0', '-1')) as RolloutId[]
  const rollouts = await readRollouts(redis, ids)
  // An update that was cut short leaves its id behind.
  const settled = ids.filter((_, index) => !isOpen(rollouts[index]?.status ?? 'failed'))
  if (settled.length > 0) await redis.zrem(keys.openRollouts, ...settled)
  return rollouts.filter((rollout): rollout is Rollout => rollout !== null && isOpen(rollout.status))
}

function newestOfTargets(rollouts: readonly Rollout[]): Iterable<Rollout> {
  return new Map(rollouts.map((rollout) => [targetName(rollout.target), rollout])).values()
}

function sameTarget(other: Rollout): (rollout: Rollout) => boolean {
  return (rollout) => targetName(rollout.target) === targetName(other.target)
}

async function supersede(context: RolloutContext, older: Rollout, newer: Rollout, nowMs: number): Promise<void> {
  const message = `a newer image is to go live: ${newer.image}`
  const followers = (await context.redis.smembers(keys.rolloutBuilds(older.id))) as BuildId[]
  // Events first: if this is cut short, the rollout is still open and superseded again.
  for (const build of followers) {
    try {
      await context.builds.appendAfter(build, [rolloutProgress(older.id, 'superseded', message, nowMs)])
    } catch (error) {
      // The build was removed with its project.
      if (!(error instanceof SlipwayError && error.kind === 'not-found')) throw error
    }
  }
  await updateRollout(context.redis, older.id, { status: 'superseded', message, finishedAtMs: nowMs })
}
