import type { Redis } from 'ioredis'
import type { BuildStatus } from '#domain/build'
import { BuildStatus as Statuses } from '#domain/build'
import type { BuildId, DeliveryId, ProjectName, RolloutId } from '#domain/ids'
import { channels, keys } from './keys.ts'

/** Removes a project and everything of it. The workers of its running builds are told, and can write no more. */
export async function removeProject(redis: Redis, name: ProjectName): Promise<void> {
  // Without its hash nothing new can be queued while the rest goes.
  await redis.multi().srem(keys.projects, name).del(keys.project(name)).exec()
  for (const id of (await redis.zrange(keys.projectBuilds(name), '0', '-1')) as BuildId[]) await removeBuild(redis, id)
  const deliveries = (await redis.zrange(keys.projectDeliveries(name), '0', '-1')) as DeliveryId[]
  for (const id of deliveries) await redis.multi().zrem(keys.deliveries, id).del(keys.delivery(id)).exec()
  const rollouts = (await redis.zrange(keys.projectRollouts(name), '0', '-1')) as RolloutId[]
  for (const id of rollouts) await removeRollout(redis, id)
  await redis.del(
    keys.projectBuilds(name),
    keys.projectRunning(name),
    keys.projectTags(name),
    keys.projectDeliveries(name),
    keys.projectRollouts(name),
    keys.projectApprovals(name),
    keys.projectTriggers(name),
  )
  await redis.zrem(keys.turns, name)
}

async function removeBuild(redis: Redis, id: BuildId): Promise<void> {
  const removal = redis.multi().del(keys.build(id), keys.buildEvents(id), keys.buildRollouts(id))
  removal.zrem(keys.builds, id).zrem(keys.leases, id)
  for (const status of Statuses.options satisfies BuildStatus[]) removal.zrem(keys.buildsByStatus(status), id)
  removal.publish(channels.cancel, JSON.stringify({ id, reason: 'its project was removed' }))
  removal.publish(channels.buildChanged, `${id} state`)
  await removal.exec()
}

async function removeRollout(redis: Redis, id: RolloutId): Promise<void> {
  const removal = redis.multi().del(keys.rollout(id), keys.rolloutBuilds(id))
  await removal.zrem(keys.rollouts, id).zrem(keys.openRollouts, id).exec()
}
