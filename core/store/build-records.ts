import { randomUUID } from 'node:crypto'
import type { Redis } from 'ioredis'
import { Build } from '#domain/build'
import { applyBuildEvent, type BuildEvent } from '#domain/build-event'
import { SlipwayError } from '#domain/errors'
import type { BuildId } from '#domain/ids'
import { RolloutStatus } from '#domain/rollout'
import { channels, keys } from './keys.ts'
import { runScript } from './scripts.ts'

/** A build as its hash has it, and what decides whether it may be changed. */
export interface BuildSnapshot {
  build: Build
  version: string
  leaseUntilMs: number | null
  /** Why it shall be cancelled, if somebody asked. */
  cancel: string | null
  /** Claims whose lease ended without a word. */
  losses: number
}

/** Who may append: the holder of a fencing token, whoever finds the lease ended, or anybody. */
export type Guard = { kind: 'claim'; token: number } | { kind: 'expired'; nowMs: number } | { kind: 'none' }

/** `stale`: the build changed since the snapshot was read. */
export type AppendOutcome = 'ok' | 'missing' | 'lost' | 'stale'

export async function readSnapshot(redis: Redis, id: BuildId): Promise<BuildSnapshot | null> {
  const fields = ['record', 'version', 'leaseUntil', 'cancel', 'losses'] as const
  const [record, version, leaseUntil, cancel, losses] = await redis.hmget(keys.build(id), ...fields)
  if (!record || !version) return null
  return {
    build: Build.parse(JSON.parse(record)),
    version,
    leaseUntilMs: leaseUntil ? Number(leaseUntil) : null,
    cancel: cancel ?? null,
    losses: Number(losses ?? 0),
  }
}

export async function readBuilds(redis: Redis, ids: readonly string[]): Promise<(Build | null)[]> {
  if (ids.length === 0) return []
  const pipeline = redis.pipeline()
  for (const id of ids) pipeline.hget(keys.build(id as BuildId), 'record')
  const replies = (await pipeline.exec()) ?? []
  return replies.map(([error, record]) => {
    if (error) throw error
    return typeof record === 'string' ? Build.parse(JSON.parse(record)) : null
  })
}

/** The build after events, and the script arguments that every change of a build begins with (see commit.lua). */
export function foldedChange(before: BuildSnapshot, events: readonly BuildEvent[]) {
  const after = events.reduce(applyBuildEvent, before.build)
  const { id, project } = after
  const isState = events.some((event) => event.kind !== 'log')
  return {
    after,
    keys: [
      keys.build(id),
      keys.buildEvents(id),
      keys.buildRollouts(id),
      keys.leases,
      keys.projectRunning(project),
      keys.buildsByStatus(before.build.status),
      keys.buildsByStatus(after.status),
    ],
    args: [
      id,
      before.version,
      after.status,
      JSON.stringify(after),
      channels.buildChanged,
      `${id} ${isState ? 'state' : 'log'}`,
      JSON.stringify(events.flatMap((event) => (event.kind === 'rollout-requested' ? [event.rollout] : []))),
      JSON.stringify(events.flatMap((event) => (endsRollout(event) ? [event.rollout] : []))),
      randomUUID(),
    ],
    events: events.map((event) => JSON.stringify(event)),
  }
}

/** Appends events to the build as it was read. */
export async function appendEvents(
  redis: Redis,
  before: BuildSnapshot,
  events: readonly BuildEvent[],
  guard: Guard,
): Promise<{ outcome: AppendOutcome; after: Build }> {
  const change = foldedChange(before, events)
  const value = guard.kind === 'claim' ? guard.token : guard.kind === 'expired' ? guard.nowMs : ''
  const args = [...change.args, guard.kind, value, ...change.events]
  return { outcome: await runScript<AppendOutcome>(redis, 'append', change.keys, args), after: change.after }
}

/** Reads, decides and appends until nobody came in between. `decide` returns null for "nothing to do". */
export async function changeBuild(
  redis: Redis,
  id: BuildId,
  guard: Guard,
  decide: (snapshot: BuildSnapshot) => readonly BuildEvent[] | null,
): Promise<{ outcome: Exclude<AppendOutcome, 'stale'> | 'unchanged'; build: Build | null }> {
  for (;;) {
    const snapshot = await readSnapshot(redis, id)
    if (!snapshot) return { outcome: 'missing', build: null }
    const events = decide(snapshot)
    if (events === null) return { outcome: 'unchanged', build: snapshot.build }
    const { outcome, after } = await appendEvents(redis, snapshot, events, guard)
    if (outcome !== 'stale') return { outcome, build: after }
  }
}

export function missingBuild(id: BuildId): SlipwayError {
  return new SlipwayError('not-found', `There is no build ${id}`)
}

const OPEN = new Set<string>(['pending', 'progressing'] satisfies RolloutStatus[])

function endsRollout(event: BuildEvent): event is Extract<BuildEvent, { kind: 'rollout-progressed' }> {
  if (event.kind !== 'rollout-progressed') return false
  return RolloutStatus.safeParse(event.status).success && !OPEN.has(event.status)
}
