import type { Redis } from 'ioredis'
import { type Build, isFinal } from '#domain/build'
import type { BuildEvent } from '#domain/build-event'
import { SlipwayError } from '#domain/errors'
import type { BuildId, WorkerId } from '#domain/ids'
import {
  appendEvents,
  type BuildSnapshot,
  changeBuild,
  foldedChange,
  missingBuild,
  readSnapshot,
} from './build-records.ts'
import type { Builds, Claim } from './contract.ts'
import { keys } from './keys.ts'
import { runScript } from './scripts.ts'
import type { Tickets } from './tickets.ts'

/** So many others cannot all have been faster. */
const MAX_CHOICES = 100

export interface ClaimOptions {
  redis: Redis
  tickets: Tickets
  /** Builds of one project at once. */
  projectLimit: number
  /** Told by a renewal that somebody wants the build cancelled, in case the announcement was missed. */
  onCancelSeen: (id: BuildId, reason: string) => void
}

type BuildClaims = Pick<
  Builds,
  | 'claim'
  | 'claimNext'
  | 'sayWaiting'
  | 'renew'
  | 'append'
  | 'appendAfter'
  | 'release'
  | 'reclaimExpired'
  | 'reclaimFrom'
>

/** The right to write a build: given, kept, used, lost and given back. */
export function createBuildClaims(options: ClaimOptions): BuildClaims {
  const { redis, tickets } = options
  const writer = createClaimWriter(redis)
  return {
    claim: (id, worker, leaseMs, nowMs) => claimBuild(options, { id, worker, leaseMs, nowMs }),
    claimNext: (worker, leaseMs, nowMs) => claimNext(options, { worker, leaseMs, nowMs }),
    async sayWaiting(id, reason, nowMs) {
      const snapshot = await readSnapshot(redis, id)
      if (snapshot?.build.status === 'queued') await sayWaiting(redis, snapshot, reason, nowMs)
    },
    async renew(claim, leaseMs, nowMs) {
      const { id } = claim.build
      const args = [id, claim.fencingToken, nowMs + leaseMs]
      const [isHeld, cancel] = await runScript<[0] | [1, string | null]>(
        redis,
        'renew',
        [keys.build(id), keys.leases],
        args,
      )
      if (cancel) options.onCancelSeen(id, cancel)
      return isHeld === 1
    },
    append: writer,
    async appendAfter(id, events) {
      const { outcome } = await changeBuild(redis, id, { kind: 'none' }, () => events)
      if (outcome === 'missing') throw missingBuild(id)
    },
    async release(claim, reason, nowMs) {
      const guard = { kind: 'claim', token: claim.fencingToken } as const
      const { outcome, build } = await changeBuild(redis, claim.build.id, guard, (snapshot) =>
        snapshot.build.status === 'running' ? backToQueue(snapshot, reason, nowMs) : null,
      )
      if (outcome !== 'ok' || !build) return
      claim.build = build
      if (build.status === 'queued') await tickets.add([build])
    },
    async reclaimExpired(nowMs, maxAttempts) {
      const expired = (await redis.zrangebyscore(keys.leases, '-inf', nowMs)) as BuildId[]
      return reclaim(options, expired, { nowMs, leaseEndMs: nowMs, maxAttempts, worker: null })
    },
    async reclaimFrom(worker, nowMs, maxAttempts) {
      const held = (await redis.zrange(keys.leases, '0', '-1')) as BuildId[]
      return reclaim(options, held, { nowMs, leaseEndMs: Number.MAX_SAFE_INTEGER, maxAttempts, worker })
    },
  }
}

/** Takes running builds back whose lease ends before `leaseEndMs`, or those of one worker. */
async function reclaim(
  { redis, tickets }: ClaimOptions,
  ids: readonly BuildId[],
  of: { nowMs: number; leaseEndMs: number; maxAttempts: number; worker: WorkerId | null },
): Promise<BuildId[]> {
  const reclaimed: Build[] = []
  for (const id of ids) {
    const guard = { kind: 'expired', nowMs: of.leaseEndMs } as const
    const { outcome, build } = await changeBuild(redis, id, guard, (snapshot) => {
      const isOurs = of.worker === null || snapshot.build.worker === of.worker
      return isOurs && snapshot.build.status === 'running' ? afterLoss(snapshot, of.nowMs, of.maxAttempts) : null
    })
    if (outcome === 'ok' && build) reclaimed.push(build)
    if (outcome === 'missing') await redis.zrem(keys.leases, id)
  }
  await tickets.add(reclaimed.filter((build) => build.status === 'queued'))
  return reclaimed.map((build) => build.id)
}

async function claimBuild(
  { redis, projectLimit }: ClaimOptions,
  wanted: { id: BuildId; worker: WorkerId; leaseMs: number; nowMs: number },
): Promise<Claim | null> {
  const { id, worker, leaseMs, nowMs } = wanted
  for (;;) {
    const snapshot = await readSnapshot(redis, id)
    if (snapshot?.build.status !== 'queued') return null
    const attempt = snapshot.build.attempt + 1
    const change = foldedChange(snapshot, [{ kind: 'started', atMs: nowMs, attempt, worker }])
    const { project } = snapshot.build
    const scriptKeys = [...change.keys, keys.turns, keys.sequence]
    const args = [...change.args, worker, nowMs + leaseMs, projectLimit, project, ...change.events]
    const outcome = await runScript<string>(redis, 'claim', scriptKeys, args)
    if (outcome === 'missing') return null
    if (outcome === 'limit') {
      await sayWaiting(redis, snapshot, `one of ${projectLimit} builds of ${project} to end`, nowMs)
      return null
    }
    if (outcome !== 'stale') return { build: change.after, worker, attempt, fencingToken: Number(outcome) }
  }
}

/** Others choose at the same time: whoever comes too late for a build chooses again. */
async function claimNext(
  options: ClaimOptions,
  by: { worker: WorkerId; leaseMs: number; nowMs: number },
): Promise<Claim | null> {
  const { redis, projectLimit } = options
  const scriptKeys = [keys.buildsByStatus('queued'), keys.turns]
  for (let choice = 0; choice < MAX_CHOICES; choice++) {
    const args = [keys.buildPrefix, keys.projectPrefix, projectLimit]
    const id = await runScript<BuildId | null>(redis, 'next-build', scriptKeys, args)
    const claim = id === null ? null : await claimBuild(options, { id, ...by })
    if (id === null || claim) return claim
  }
  return null
}

/** Says once why a build waits. */
async function sayWaiting(redis: Redis, snapshot: BuildSnapshot, reason: string, nowMs: number): Promise<void> {
  if (snapshot.build.waitingFor === reason) return
  await appendEvents(redis, snapshot, [{ kind: 'waiting', atMs: nowMs, reason }], { kind: 'none' })
}

/**
 * Appends for the holder of a claim, one call after the other. The holder is nearly always the only writer, so the
 * folded build and its version are kept here, and read again only when somebody else did write.
 */
function createClaimWriter(redis: Redis): Builds['append'] {
  const versions = new WeakMap<Claim, BuildSnapshot>()
  const tails = new WeakMap<Claim, Promise<void>>()
  const write = async (claim: Claim, events: readonly BuildEvent[]): Promise<void> => {
    const { id } = claim.build
    for (;;) {
      const before = versions.get(claim) ?? (await readSnapshot(redis, id))
      if (!before) throw lost(claim)
      const { outcome, after } = await appendEvents(redis, before, events, { kind: 'claim', token: claim.fencingToken })
      if (outcome === 'ok') {
        versions.set(claim, { ...before, build: after, version: String(Number(before.version) + 1) })
        claim.build = after
        return
      }
      versions.delete(claim)
      if (outcome !== 'stale') throw lost(claim)
    }
  }
  return (claim, events) => {
    const turn = (tails.get(claim) ?? Promise.resolve()).then(() =>
      events.length > 0 ? write(claim, events) : undefined,
    )
    const settled = turn.catch(() => {})
    tails.set(claim, settled)
    return turn
  }
}

function lost(claim: Claim): SlipwayError {
  const { build, attempt, worker } = claim
  return new SlipwayError('conflict', `Attempt ${attempt} of build ${build.id} is no longer held by worker ${worker}`)
}

/** Somebody may have asked for a cancellation that the worker did not live to obey. */
function backToQueue({ build, cancel }: BuildSnapshot, reason: string, atMs: number): BuildEvent[] {
  if (cancel !== null) return [cancelled(cancel, atMs)]
  return [{ kind: 'worker-lost', atMs, attempt: build.attempt, reason }]
}

function afterLoss(snapshot: BuildSnapshot, atMs: number, maxAttempts: number): BuildEvent[] {
  const { build, losses } = snapshot
  const back = backToQueue(snapshot, `worker ${build.worker} stopped answering`, atMs)
  if (snapshot.cancel !== null || losses + 1 < maxAttempts) return back
  const message = `The build lost its worker ${losses + 1} times; the last one was ${build.worker}`
  return [...back, { kind: 'finished', atMs, status: 'failed', error: { kind: 'worker-lost', message } }]
}

function cancelled(reason: string, atMs: number): BuildEvent {
  return { kind: 'finished', atMs, status: 'cancelled', error: { kind: 'cancelled', message: reason } }
}

/** Cancels a queued build; marks a running one. What is left to do is to tell its worker. */
export async function cancelBuild(
  redis: Redis,
  id: BuildId,
  reason: string,
  nowMs: number,
): Promise<'final' | 'cancelled' | 'told'> {
  for (;;) {
    const { outcome, build } = await changeBuild(redis, id, { kind: 'none' }, ({ build }) =>
      build.status === 'queued' ? [cancelled(reason, nowMs)] : null,
    )
    if (outcome === 'ok') return 'cancelled'
    if (!build || isFinal(build.status)) return 'final'
    await redis.hset(keys.build(id), 'cancel', reason)
    // It may have gone back to the queue meanwhile, where no worker would see the mark.
    const now = await readSnapshot(redis, id)
    if (now && now.build.status === 'running') return 'told'
  }
}
