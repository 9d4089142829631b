import { openAnnouncements } from './announcements.ts'
import { createBuildClaims } from './build-claims.ts'
import { createBuildFeed } from './build-feed.ts'
import { createBuildQueue } from './build-queue.ts'
import { connect, disconnect } from './connection.ts'
import type { Builds, Store } from './contract.ts'
import { createDeliveries } from './deliveries.ts'
import { channels } from './keys.ts'
import { createProjects } from './projects.ts'
import { createRollouts } from './rollouts.ts'
import { createStepCache } from './step-cache.ts'
import { createStepLeases, type StepLeaseTimes } from './step-leases.ts'
import { createTagMoves } from './tag-moves.ts'
import { openTickets } from './tickets.ts'
import { createTokens } from './tokens.ts'
import { createTriggers } from './triggers.ts'
import { createWorkers } from './workers.ts'

export interface StoreOptions {
  /** Builds of one project that may run at once. */
  projectLimit?: number
  stepLeases?: StepLeaseTimes
}

const PROJECT_LIMIT = 4

/** Opens everything that outlives a process: two connections, one for commands and one that hears announcements. */
export async function openStore(redisUrl: string, options: StoreOptions = {}): Promise<Store> {
  await using opening = new AsyncDisposableStack()
  const redis = opening.adopt(connect(redisUrl), disconnect)
  const announcements = opening.use(await openAnnouncements(redisUrl, Object.values(channels)))
  const tickets = opening.use(openTickets(redis))
  const feed = createBuildFeed(redis, announcements)
  const builds: Builds = {
    ...createBuildQueue(redis, tickets),
    ...createBuildClaims({
      redis,
      tickets,
      projectLimit: options.projectLimit ?? PROJECT_LIMIT,
      onCancelSeen: feed.tellCancel,
    }),
    ...feed,
  }
  const open = opening.move()
  return {
    projects: createProjects(redis),
    builds,
    deliveries: createDeliveries(redis),
    tokens: createTokens(redis),
    triggers: createTriggers(redis),
    rollouts: createRollouts({ redis, announcements, builds }),
    workers: createWorkers(redis),
    stepCache: createStepCache(redis),
    stepLeases: createStepLeases(redis, announcements, options.stepLeases),
    tags: createTagMoves(redis),
    async ping() {
      await redis.ping()
    },
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  }
}
