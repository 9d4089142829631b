import type { Redis } from 'ioredis'
import { Delivery, type Verdict } from '#domain/delivery'
import type { DeliveryId } from '#domain/ids'
import type { Deliveries } from './contract.ts'
import { keys } from './keys.ts'
import { readPage } from './pages.ts'
import { runScript } from './scripts.ts'

const KEPT_PER_PROJECT = 2000
const EXTERNAL_ID_TTL_MS = 30 * 24 * 60 * 60 * 1000

/** What a redelivery is told while the first one is still being handled. */
const IN_HAND: Verdict = { kind: 'answered', reason: 'the first delivery is being handled' }

export function createDeliveries(redis: Redis): Deliveries {
  const load = async (ids: string[]): Promise<(Delivery | null)[]> => {
    if (ids.length === 0) return []
    const records = await redis.mget(ids.map((id) => keys.delivery(id as DeliveryId)))
    return records.map((record) => (record === null ? null : Delivery.parse(JSON.parse(record))))
  }
  const get = async (id: DeliveryId) => (await load([id]))[0] ?? null
  return {
    get,
    async claimExternalId(project, externalId, delivery) {
      const key = keys.external(project, externalId)
      const earlier = (await redis.set(key, delivery, 'PX', EXTERNAL_ID_TTL_MS, 'NX', 'GET')) as DeliveryId | null
      if (earlier === null) return null
      return { id: earlier, verdict: (await get(earlier))?.verdict ?? IN_HAND }
    },
    async releaseExternalId(project, externalId) {
      await redis.del(keys.external(project, externalId))
    },
    async record(delivery) {
      const owner = keys.projectDeliveries(delivery.project)
      const scriptKeys = [keys.delivery(delivery.id), keys.deliveries, owner, keys.sequence]
      const args = [delivery.id, JSON.stringify(delivery), KEPT_PER_PROJECT, keys.deliveryPrefix]
      await runScript(redis, 'record-delivery', scriptKeys, args)
    },
    async approve(project, subject) {
      await redis.sadd(keys.projectApprovals(project), subject)
    },
    async isApproved(project, subject) {
      return (await redis.sismember(keys.projectApprovals(project), subject)) === 1
    },
    list: (project, cursor, limit) =>
      readPage(redis, {
        key: project === null ? keys.deliveries : keys.projectDeliveries(project),
        cursor,
        limit,
        load,
      }),
  }
}
