import { type Job, Worker } from 'bullmq'
import { messageOf, SlipwayError } from '#domain/errors'
import type { BuildId, WorkerId } from '#domain/ids'
import { type Logger, withLogContext } from '#host/log'
import type { Claim, Store } from '#store/contract'
import { BUILD_QUEUE, openTicketConnection, QUEUE_PREFIX, type Ticket } from '#store/tickets'
import type { DiskGuard } from './disk-guard.ts'
import { holdClaim } from './hold-claim.ts'

const LEASE_MS = 20_000
/** How long a stop waits for builds to be given back. */
const STOP_MS = 8000

export interface QueueOptions {
  store: Store
  redisUrl: string
  worker: WorkerId
  /** Builds at once. */
  concurrency: number
  buildTimeoutMs: number
  runBuild: (claim: Claim, signal: AbortSignal) => Promise<void>
  /** Closed where there is no space to build. */
  guard?: Pick<DiskGuard, 'problem' | 'onChange'>
  log: Logger
}

export interface QueueService extends AsyncDisposable {
  running(): BuildId[]
}

/**
 * Takes tickets and runs builds. This is the one file that knows BullMQ's corners: a ticket only says that there may be
 * something to do, the store says whose turn it is. Whoever ends a build takes the next one by itself, so that a build
 * which has to wait for others of its project needs no looking at: it is taken when one of those ends. A build that fails
 * is a ticket well done; only a store that fails makes a ticket fail, and the sweep writes a new one. Disposing aborts
 * what runs, so that it goes back to the queue.
 */
export function serveQueue(options: QueueOptions): QueueService {
  const { store, redisUrl, concurrency, log } = options
  const running = new Map<BuildId, AbortController>()
  const stop = new AbortController()
  const cancels = store.builds.onCancel((id, reason) => {
    running.get(id)?.abort(new SlipwayError('cancelled', reason))
  })
  const tickets = openTicketConnection(redisUrl)
  const isClosed = () => stop.signal.aborted || (options.guard?.problem() ?? null) !== null
  const next = async () => (isClosed() ? null : store.builds.claimNext(options.worker, LEASE_MS, Date.now()))
  const process = async ({ data }: Job<Ticket>) => {
    // Where it is nobody's turn, the ticket's own build is told what it waits for.
    let claim = (await next()) ?? (await claimOwn(data.build))
    for (; claim; claim = await next()) {
      const { build } = claim
      const held = claim
      await withLogContext({ build: build.id }, () => runClaimed(options, held, { running, stop: stop.signal }))
    }
  }
  const claimOwn = async (id: BuildId) =>
    isClosed() ? null : store.builds.claim(id, options.worker, LEASE_MS, Date.now())
  const worker = new Worker<Ticket, void>(BUILD_QUEUE, process, {
    connection: tickets.connection,
    prefix: QUEUE_PREFIX,
    concurrency,
    skipVersionCheck: true,
    // A stalled ticket is offered again and again: whether its build may run is not for BullMQ to say.
    maxStalledCount: 1000,
  })
  const guarding = guardQueue(worker, options)
  worker.on('error', (error) => log.warn({ err: error }, 'queue connection failed'))
  worker.on('failed', (job, error) => log.error({ build: job?.data.build, err: error }, 'ticket failed'))
  return {
    running: () => [...running.keys()],
    async [Symbol.asyncDispose]() {
      guarding?.[Symbol.dispose]()
      stop.abort(new SlipwayError('unavailable', 'its worker was stopped'))
      const closing = worker.close().catch((error: unknown) => log.warn({ err: error }, 'queue did not close'))
      const { promise, resolve } = Promise.withResolvers<void>()
      const timer = setTimeout(resolve, STOP_MS)
      await Promise.race([closing, promise])
      clearTimeout(timer)
      // What waited for builds that ended here is for others to take.
      await store.builds.sweep().catch((error: unknown) => log.warn({ err: error }, 'queue not swept'))
      await cancels[Symbol.asyncDispose]()
      await tickets[Symbol.asyncDispose]()
    },
  }
}

/** While there is no space tickets stay for others, or for later. */
function guardQueue(worker: Worker<Ticket, void>, { guard, log }: QueueOptions): Disposable | undefined {
  const pauseOrResume = (problem: string | null): void => {
    const done = problem === null ? Promise.resolve(worker.resume()) : worker.pause(true)
    done.catch((error: unknown) => log.warn({ err: error }, 'queue was neither paused nor resumed'))
  }
  const problem = guard?.problem() ?? null
  if (problem !== null) pauseOrResume(problem)
  return guard?.onChange(pauseOrResume)
}

async function runClaimed(
  { store, runBuild, buildTimeoutMs, log }: QueueOptions,
  claim: Claim,
  process: { running: Map<BuildId, AbortController>; stop: AbortSignal },
): Promise<void> {
  const { id } = claim.build
  const cancel = new AbortController()
  process.running.set(id, cancel)
  await using held = holdClaim(store.builds, claim, LEASE_MS)
  const timeout = new AbortController()
  const timer = setTimeout(() => {
    const seconds = Math.round(buildTimeoutMs / 1000)
    timeout.abort(new SlipwayError('timed-out', `The build took longer than ${seconds} s`))
  }, buildTimeoutMs)
  const startedAtMs = performance.now()
  try {
    await runBuild(claim, AbortSignal.any([cancel.signal, held.lost, timeout.signal, process.stop]))
    const durationMs = Math.round(performance.now() - startedAtMs)
    log.info({ status: claim.build.status, attempt: claim.attempt, durationMs }, 'build ended')
  } catch (error) {
    // The store did not take the build's end: its lease will end, and another attempt follows.
    log.error({ err: error, said: messageOf(error) }, 'build could not be ended')
  } finally {
    clearTimeout(timer)
    process.running.delete(id)
  }
}
