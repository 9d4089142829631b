import type { Redis } from 'ioredis'
import type { Digest } from '#domain/digest'
import type { BuildId, WorkerId } from '#domain/ids'
import type { Rollout } from '#domain/rollout'
import { Bell } from '#host/bell'
import type { Announcements } from './announcements.ts'
import type { Rollouts } from './contract.ts'
import { channels, keys } from './keys.ts'
import { readPage } from './pages.ts'
import { claimRollout } from './rollout-claims.ts'
import { missingRollout, type RolloutContext, readRollouts, updateRollout } from './rollout-records.ts'
import { runScript } from './scripts.ts'

export function createRollouts(context: RolloutContext): Rollouts {
  const { redis, announcements } = context
  const load = (ids: readonly string[]) => readRollouts(redis, ids)
  const rollouts: Rollouts = {
    request: (rollout) => requestRollout(redis, rollout),
    get: async (id) => (await load([id]))[0] ?? null,
    async list(project, limit) {
      const key = project === null ? keys.rollouts : keys.projectRollouts(project)
      return (await readPage(redis, { key, cursor: null, limit, load })).items
    },
    update: (id, change) => updateRollout(redis, id, change),
    followers: async (id) => (await redis.smembers(keys.rolloutBuilds(id))) as BuildId[],
    claim: (worker, leaseMs, nowMs) => claimRollout(context, { worker, leaseMs, nowMs }),
    async renew(id, worker, leaseMs) {
      const rollout = await rollouts.get(id)
      if (!rollout) return false
      const holder = `${id} ${worker}`
      return (
        (await runScript<number>(redis, 'extend-lock', [keys.rolloutLock(rollout.target)], [holder, leaseMs])) === 1
      )
    },
    async release(id, worker) {
      const rollout = await rollouts.get(id)
      if (rollout) await freeTarget(redis, rollout, worker)
    },
    async reclaimFrom(worker) {
      for (const rollout of await load(await redis.zrange(keys.openRollouts, '0', '-1')))
        if (rollout) await freeTarget(redis, rollout, worker)
    },
    lastVerified: async (target) => (await redis.hget(keys.target(target), 'verified')) as Digest | null,
    watch: (signal) => watchRollouts(redis, announcements, signal),
  }
  return rollouts
}

async function requestRollout(redis: Redis, wanted: Rollout): Promise<{ rollout: Rollout; isNew: boolean }> {
  const { id, target, project, digest, build } = wanted
  const scriptKeys = [
    keys.target(target),
    keys.rollout(id),
    keys.rollouts,
    keys.projectRollouts(project),
    keys.openRollouts,
    keys.sequence,
  ]
  const args = [id, JSON.stringify(wanted), digest, build, keys.rolloutPrefix, channels.rolloutChanged]
  const found = await runScript<string>(redis, 'request-rollout', scriptKeys, args)
  const [rollout] = await readRollouts(redis, [found])
  if (!rollout) throw missingRollout(found)
  return { rollout, isNew: found === id }
}

/** Does nothing where the worker does not hold it. */
async function freeTarget(redis: Redis, { id, target }: Rollout, worker: WorkerId): Promise<void> {
  await runScript(redis, 'extend-lock', [keys.rolloutLock(target)], [`${id} ${worker}`, 0])
}

async function* watchRollouts(redis: Redis, announcements: Announcements, signal: AbortSignal) {
  const changed = new Set<string>()
  const bell = new Bell()
  let isBehind = false
  using _ = announcements.listen(channels.rolloutChanged, (message) => {
    if (message === null) isBehind = true
    else changed.add(message)
    bell.ring()
  })
  while (!signal.aborted) {
    await bell.wait(signal)
    if (isBehind) for (const id of await redis.zrange(keys.openRollouts, '0', '-1')) changed.add(id)
    isBehind = false
    const ids = [...changed]
    changed.clear()
    for (const rollout of await readRollouts(redis, ids)) if (rollout && !signal.aborted) yield rollout
  }
}
