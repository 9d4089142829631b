import type { Redis } from 'ioredis'
import { Build, type BuildOrder } from '#domain/build'
import { newBuild } from '#domain/build-event'
import { SlipwayError } from '#domain/errors'
import type { BuildId } from '#domain/ids'
import { readBuilds } from './build-records.ts'
import type { Builds } from './contract.ts'
import { channels, keys } from './keys.ts'
import { readPage } from './pages.ts'
import { runScript } from './scripts.ts'
import type { Tickets } from './tickets.ts'

/** Getting builds into the queue, and looking at them. */
export function createBuildQueue(
  redis: Redis,
  tickets: Tickets,
): Pick<Builds, 'enqueue' | 'get' | 'list' | 'queued' | 'sweep'> {
  const load = (ids: readonly string[]) => readBuilds(redis, ids)
  const queued = async (): Promise<Build[]> => {
    const builds = await load(await redis.zrange(keys.buildsByStatus('queued'), '0', '-1'))
    return builds.filter((build) => build !== null)
  }
  return {
    async enqueue(orders, nowMs) {
      const builds: Build[] = []
      for (const order of orders) builds.push(await enqueueOne(redis, order, nowMs))
      // Also those that existed: whoever queued them may have died, or lost the connection, before the ticket was written.
      await tickets.add(builds.filter((build) => build.status === 'queued'))
      return builds
    },
    get: async (id: BuildId) => (await load([id]))[0] ?? null,
    list({ project, status }, cursor, limit) {
      const ofStatus = status ? keys.buildsByStatus(status) : keys.builds
      const key = project ? keys.projectBuilds(project) : ofStatus
      return readPage(redis, { key, cursor, limit, load, keep: (build) => !status || build.status === status })
    },
    queued,
    async sweep() {
      const builds = await queued()
      await tickets.add(builds)
      return builds.length
    },
  }
}

async function enqueueOne(redis: Redis, order: Omit<BuildOrder, 'number'>, nowMs: number): Promise<Build> {
  const { id, project } = order
  const { number: _, ...record } = newBuild({ number: 1, ...order }, nowMs)
  const scriptKeys = [
    keys.build(id),
    keys.buildEvents(id),
    keys.project(project),
    keys.builds,
    keys.projectBuilds(project),
    keys.buildsByStatus('queued'),
    keys.sequence,
  ]
  const eventHead = `${JSON.stringify({ kind: 'queued', atMs: nowMs }).slice(0, -1)},"order":`
  const args = [id, afterBrace(record), eventHead, afterBrace(order), channels.buildChanged, `${id} state`, project]
  const [, stored] = await runScript<[-1] | [0 | 1, string]>(redis, 'enqueue', scriptKeys, args)
  if (stored === undefined) throw new SlipwayError('not-found', `There is no project ${project} to build`)
  return Build.parse(JSON.parse(stored))
}

function afterBrace(value: object): string {
  return JSON.stringify(value).slice(1)
}
