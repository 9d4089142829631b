import { Queue } from 'bullmq'
import type { Redis } from 'ioredis'
import type { Build } from '#domain/build'
import type { BuildId } from '#domain/ids'
import { connect, disconnect } from './connection.ts'
import { keys } from './keys.ts'

/** The BullMQ queue of builds. A ticket says only "look at this build": the truth is the build's record. */
export const BUILD_QUEUE = 'builds'
export const QUEUE_PREFIX = keys.bullPrefix

export interface Ticket {
  build: BuildId
}

export interface Tickets extends AsyncDisposable {
  /** Adds what is missing; a ticket that exists stays as it is. */
  add(builds: readonly Build[]): Promise<void>
}

export function openTickets(redis: Redis): Tickets {
  const queue = new Queue<Ticket>(BUILD_QUEUE, {
    connection: redis,
    prefix: QUEUE_PREFIX,
    skipVersionCheck: true,
    defaultJobOptions: { removeOnComplete: true, removeOnFail: true },
  })
  queue.on('error', () => {})
  return {
    async add(builds) {
      if (builds.length === 0) return
      await queue.addBulk(
        builds.map((build) => ({ name: 'build', data: { build: build.id }, opts: { jobId: ticketId(build) } })),
      )
    },
    [Symbol.asyncDispose]: () => queue.close(),
  }
}

/** The build's id; a build that came back to the queue needs a ticket that is not the one being worked on. */
function ticketId(build: Build): string {
  return build.attempt === 0 ? build.id : `${build.id}-${build.attempt + 1}`
}

/** A connection for a BullMQ worker, which blocks and so must not share one. */
export function openTicketConnection(redisUrl: string): { connection: Redis } & AsyncDisposable {
  const connection = connect(redisUrl, { maxRetriesPerRequest: null })
  return { connection, [Symbol.asyncDispose]: () => disconnect(connection) }
}
