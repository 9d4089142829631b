import type { Build, BuildOrder, BuildStatus } from '#domain/build'
import type { BuildEvent } from '#domain/build-event'
import type { Delivery, Verdict } from '#domain/delivery'
import type { Digest } from '#domain/digest'
import type { BuildId, DeliveryId, ProjectName, RolloutId, WorkerId } from '#domain/ids'
import type { Project, ProjectChange } from '#domain/project'
import type { Rollout } from '#domain/rollout'
import type { TriggerToken } from '#domain/trigger-token'

/**
 * Everything that outlives a process. One Redis behind it; the key table is `keys.ts`. Changes of state are Lua scripts
 * or transactions, and every write of a build's attempt carries its fencing token.
 */
export interface Store extends AsyncDisposable {
  readonly projects: Projects
  readonly builds: Builds
  readonly deliveries: Deliveries
  readonly tokens: Tokens
  readonly triggers: Triggers
  readonly rollouts: Rollouts
  readonly workers: Workers
  readonly stepCache: StoredStepCache
  readonly stepLeases: StepLeases
  readonly tags: TagMoves
  /** Rejects if Redis does not answer. */
  ping(): Promise<void>
}

/** A page of a list, newest first; `next` continues it, null at its end. */
export interface Page<T> {
  items: T[]
  next: string | null
}

export interface Projects {
  /** Fails with kind `already-exists`. */
  create(project: Project, secrets: ProjectSecrets): Promise<Project>
  get(name: ProjectName): Promise<Project | null>
  list(): Promise<Project[]>
  /** Fails with kind `not-found`. */
  change(name: ProjectName, change: ProjectChange): Promise<Project>
  /** Also removes its builds, deliveries and rollouts. */
  remove(name: ProjectName): Promise<void>
  secrets(name: ProjectName): Promise<ProjectSecrets>
}

export interface ProjectSecrets {
  webhookSecret: string | null
  webhookSigningToken: string | null
}

/** A claimed build: the right to write it, until the lease ends or another claims it. */
export interface Claim {
  build: Build
  worker: WorkerId
  attempt: number
  /** Larger than that of every earlier claim of this build. */
  fencingToken: number
}

/** An event with the id of its stream entry: `Last-Event-ID`. */
export interface StoredEvent {
  id: string
  event: BuildEvent
}

export interface Builds {
  /**
   * Queues builds, and numbers them within their project; a build whose id exists already is returned as it is and
   * queued no second time. Also puts a ticket into BullMQ, or, if that was missed, `sweep` does.
   */
  enqueue(orders: readonly Omit<BuildOrder, 'number'>[], nowMs: number): Promise<Build[]>
  get(id: BuildId): Promise<Build | null>
  list(
    filter: { project?: ProjectName; status?: BuildStatus },
    cursor: string | null,
    limit: number,
  ): Promise<Page<Build>>
  /** Claims this build if it is queued and limits allow; null if not. */
  claim(id: BuildId, worker: WorkerId, leaseMs: number, nowMs: number): Promise<Claim | null>
  /**
   * Claims the next build in turn: projects take turns, the one first whose last turn is longest ago, and of a project
   * the oldest build goes first. Null if there is none that limits allow.
   */
  claimNext(worker: WorkerId, leaseMs: number, nowMs: number): Promise<Claim | null>
  /** Prolongs the lease; false means the claim is lost and the work has to stop. */
  renew(claim: Claim, leaseMs: number, nowMs: number): Promise<boolean>
  /** Appends events and folds them into the build, atomically. Fails with kind `conflict` where the claim was lost. */
  append(claim: Claim, events: readonly BuildEvent[]): Promise<void>
  /** Like `append`, for rollouts that report after the build itself has ended. */
  appendAfter(id: BuildId, events: readonly BuildEvent[]): Promise<void>
  /** Gives back the claims of leases that ended; each becomes queued again, or failed with `worker-lost` after `maxAttempts`. */
  reclaimExpired(nowMs: number, maxAttempts: number): Promise<BuildId[]>
  /** The same, at once, for everything that a worker held which is known to be dead. */
  reclaimFrom(worker: WorkerId, nowMs: number, maxAttempts: number): Promise<BuildId[]>
  /** Returns an unfinished claim to the queue at once, as a worker does that is asked to stop. */
  release(claim: Claim, reason: string, nowMs: number): Promise<void>
  /** Queued: cancelled at once. Running: its worker is told. Final: false. */
  cancel(id: BuildId, reason: string, nowMs: number): Promise<boolean>
  /** Ids of builds to cancel, told to whoever runs them. */
  onCancel(listener: (id: BuildId, reason: string) => void): AsyncDisposable
  /**
   * History, then what comes; ends once the build and its rollouts have all ended, or `signal` aborts. A build's stream
   * goes on after `finished` while one of its rollouts is open.
   */
  events(id: BuildId, afterId: string | null, signal: AbortSignal): AsyncIterable<StoredEvent>
  /** Changes of any build, for pages that list them; coalesced by build, nothing is repeated. */
  watch(signal: AbortSignal): AsyncIterable<Build>
  /** Says what a queued build waits for. */
  sayWaiting(id: BuildId, reason: string, nowMs: number): Promise<void>
  /** Queued builds, the oldest first. */
  queued(): Promise<Build[]>
  /** Gives every queued build a ticket that has none; how many builds are queued. */
  sweep(): Promise<number>
}

export interface Deliveries {
  /** Claims a provider's delivery id; the earlier delivery if it was seen before and did not end in our own failure. */
  claimExternalId(
    project: ProjectName,
    externalId: string,
    delivery: DeliveryId,
  ): Promise<{ id: DeliveryId; verdict: Verdict } | null>
  /** Frees a claimed id where handling the delivery failed, so that the provider's next try works. */
  releaseExternalId(project: ProjectName, externalId: string): Promise<void>
  /** Bounded: the oldest are dropped. */
  record(delivery: Delivery): Promise<void>
  get(id: DeliveryId): Promise<Delivery | null>
  /** Remembers that a person approved this: one commit of a stranger's pull request. */
  approve(project: ProjectName, subject: string): Promise<void>
  isApproved(project: ProjectName, subject: string): Promise<boolean>
  list(project: ProjectName | null, cursor: string | null, limit: number): Promise<Page<Delivery>>
}

/**
 * What a token allows (`mayUseRepository` decides). `repository` is a project's image name; `*` is all. `alsoPull` names
 * further repositories that may be pulled; `library/*` is everything beneath `library`.
 */
export type Grant =
  | { kind: 'admin' }
  | {
      kind: 'registry'
      repository: string
      actions: readonly ('pull' | 'push')[]
      alsoPull?: readonly string[]
    }

export interface Tokens {
  /** Makes a random token; only its hash is kept. `ttlMs` null never expires. */
  issue(grant: Grant, label: string, ttlMs: number | null): Promise<string>
  /** What a presented token allows; null for unknown and expired ones. */
  check(token: string): Promise<Grant | null>
  /** Makes a given token valid (the admin token's file is the truth of it). */
  adopt(token: string, grant: Grant, label: string): Promise<void>
  revoke(token: string): Promise<void>
}

/** Tokens of trigger URLs: who knows one may ask for builds of its project, and for nothing else. */
export interface Triggers {
  /** Fails with kind `conflict` where the project has too many. `secret` is kept as a hash alone. */
  create(project: ProjectName, label: string, nowMs: number): Promise<TriggerToken & { secret: string }>
  list(project: ProjectName): Promise<TriggerToken[]>
  /** Null for a token that the project does not have. */
  check(project: ProjectName, secret: string): Promise<TriggerToken | null>
  /** Whether there was such a token. */
  revoke(project: ProjectName, id: string): Promise<boolean>
}

export interface Rollouts {
  /** Once per (target, digest): returns the existing one where the newest rollout of the target is this digest and did not fail. */
  request(rollout: Rollout): Promise<{ rollout: Rollout; isNew: boolean }>
  get(id: RolloutId): Promise<Rollout | null>
  list(project: ProjectName | null, limit: number): Promise<Rollout[]>
  update(id: RolloutId, change: Partial<Rollout>): Promise<Rollout>
  /** Builds that asked for this rollout, to whose events its progress belongs. */
  followers(id: RolloutId): Promise<BuildId[]>
  /** Takes the next pending rollout whose target has none in flight; older pending ones of the target are superseded. */
  claim(worker: WorkerId, leaseMs: number, nowMs: number): Promise<Rollout | null>
  renew(id: RolloutId, worker: WorkerId, leaseMs: number, nowMs: number): Promise<boolean>
  /** Gives a rollout that is not over to whoever claims next. */
  release(id: RolloutId, worker: WorkerId): Promise<void>
  /** Frees the targets that a worker held which is known to be dead, so that its rollouts can be claimed at once. */
  reclaimFrom(worker: WorkerId): Promise<void>
  /** Digest that last went live on a target. */
  lastVerified(target: Rollout['target']): Promise<Digest | null>
  watch(signal: AbortSignal): AsyncIterable<Rollout>
}

interface WorkerRecord {
  id: WorkerId
  host: string
  version: string
  startedAtMs: number
  seenAtMs: number
  capacity: number
  running: BuildId[]
  /** Why it takes no builds, if it does not. */
  problem?: string | null
}

export interface Workers {
  /** Registers or refreshes; gone after `ttlMs` without another beat. */
  beat(worker: WorkerRecord, ttlMs: number): Promise<void>
  leave(id: WorkerId): Promise<void>
  list(): Promise<WorkerRecord[]>
}

/** Tags never move backwards: an older build's push after a newer one leaves the tag alone. */
export interface TagMoves {
  /** Runs `move` while no other build moves the tag, if no newer build has; whether it ran. */
  move(project: ProjectName, tag: string, number: number, move: () => Promise<void>): Promise<boolean>
}

/** Who runs a step of a scope: one of all workers at a time. */
export interface StepLeases {
  /** Waits until nobody else has it. A holder that dies loses it within seconds. */
  take(scope: string, key: string, signal: AbortSignal): Promise<StepLease>
}

/** Kept alive until disposed, which gives it to the next who waits. */
export interface StepLease extends AsyncDisposable {
  /** Prolongs it; false where it was lost to another. */
  confirm(): Promise<boolean>
}

/** The step cache that workers share; the builder's `StepCache` in the store's words. Values are opaque JSON. */
export interface StoredStepCache {
  get(scope: string, key: string): Promise<string | null>
  put(scope: string, key: string, value: string): Promise<void>
  getComponents(scope: string, place: string): Promise<string | null>
  putComponents(scope: string, place: string, value: string): Promise<void>
}
