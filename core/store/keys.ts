import { createHash } from 'node:crypto'
import type { BuildStatus } from '#domain/build'
import type { BuildId, DeliveryId, ProjectName, RolloutId, WorkerId } from '#domain/ids'
import type { Rollout } from '#domain/rollout'

/**
 * Every key, its type, its writer and its lifetime. Slipway wants one Redis (replicas are welcome): its scripts touch a
 * build, its project and the lists in one step, which Redis Cluster would refuse.
 *
 * | key                                | type    | writer                        | lifetime                       |
 * |------------------------------------|---------|-------------------------------|--------------------------------|
 * | slip:projects                      | set     | projects                      | always                         |
 * | slip:project:P                     | hash    | projects, enqueue.lua         | until the project is removed   |
 * | slip:project:P:builds              | zset    | enqueue.lua                   | until the project is removed   |
 * | slip:project:P:running             | set     | claim.lua, append.lua         | while builds run               |
 * | slip:project:P:tags                | hash    | tags                          | until the project is removed   |
 * | slip:project:P:deliveries          | zset    | record-delivery.lua           | the newest 2,000               |
 * | slip:project:P:approvals           | set     | deliveries                    | until the project is removed   |
 * | slip:project:P:triggers            | hash    | triggers                      | until the project is removed   |
 * | slip:project:P:rollouts            | zset    | request-rollout.lua           | until the project is removed   |
 * | slip:sequence                      | string  | scripts that list something   | always                         |
 * | slip:builds                        | zset    | enqueue.lua                   | until the project is removed   |
 * | slip:builds:S (S a status)         | zset    | enqueue, claim, append.lua    | until the project is removed   |
 * | slip:build:B                       | hash    | enqueue, claim, append.lua    | until the project is removed   |
 * | slip:build:B:events                | stream  | enqueue, claim, append.lua    | until the project is removed   |
 * | slip:build:B:rollouts              | set     | append.lua                    | while rollouts of it are open  |
 * | slip:turns                         | zset    | claim.lua                     | until the project is removed   |
 * | slip:leases                        | zset    | claim, renew, append.lua      | while builds run               |
 * | slip:tag-lock:P:T                  | string  | tags                          | while a tag is moved, ≤ 60 s   |
 * | slip:delivery:D                    | string  | record-delivery.lua           | the newest 2,000 of a project  |
 * | slip:deliveries                    | zset    | record-delivery.lua           | as the deliveries in it        |
 * | slip:deliveries:unowned            | zset    | record-delivery.lua           | the newest 2,000               |
 * | slip:external:P:HASH               | string  | deliveries                    | 30 days                        |
 * | slip:token:HASH                    | string  | tokens                        | as issued                      |
 * | slip:rollout:R                     | hash    | rollouts, request-rollout.lua | until the project is removed   |
 * | slip:rollout:R:builds              | set     | request-rollout.lua           | until the project is removed   |
 * | slip:rollouts                      | zset    | request-rollout.lua           | until the project is removed   |
 * | slip:rollouts:open                 | zset    | request-rollout.lua, rollouts | while they are open            |
 * | slip:target:NS/D/C                 | hash    | request-rollout.lua, rollouts | always                         |
 * | slip:rollout-lock:NS/D             | string  | rollouts                      | the lease of a rollout         |
 * | slip:worker:W                      | string  | workers                       | until its beat stops           |
 * | slip:workers                       | set     | workers                       | as its members                 |
 * | slip:step:SCOPE:KEY                | string  | step cache                    | 30 days after its last use     |
 * | slip:place:SCOPE:HASH              | string  | step cache                    | 30 days after it was written   |
 * | slip:step-lease:SCOPE:KEY          | string  | step leases                   | while the step runs            |
 * | slip:cluster:objects               | hash    | write-object.lua              | until an object is deleted     |
 * | slip:cluster:version               | string  | write-object.lua              | always                         |
 * | slip:cluster:history               | stream  | write-object.lua              | the newest 4,000 changes       |
 * | slip:bull:…                        | various | BullMQ                        | BullMQ's                       |
 *
 * Lists (zsets) are ordered by `slip:sequence`, so that a cursor is a number and pages neither skip nor repeat.
 * Channels: slip:build-changed (`ID log` or `ID state`), slip:cancel (JSON), slip:rollout-changed (id),
 * slip:step-freed (the key of a lease).
 */
export const keys = {
  projects: 'slip:projects',
  projectPrefix: 'slip:project:',
  project: (name: ProjectName) => `slip:project:${name}`,
  projectBuilds: (name: ProjectName) => `slip:project:${name}:builds`,
  projectRunning: (name: ProjectName) => `slip:project:${name}:running`,
  projectTags: (name: ProjectName) => `slip:project:${name}:tags`,
  projectDeliveries: (name: ProjectName | null) =>
    name === null ? 'slip:deliveries:unowned' : `slip:project:${name}:deliveries`,
  projectApprovals: (name: ProjectName) => `slip:project:${name}:approvals`,
  projectTriggers: (name: ProjectName) => `slip:project:${name}:triggers`,
  projectRollouts: (name: ProjectName) => `slip:project:${name}:rollouts`,
  sequence: 'slip:sequence',
  builds: 'slip:builds',
  buildsByStatus: (status: BuildStatus) => `slip:builds:${status}`,
  buildPrefix: 'slip:build:',
  build: (id: BuildId) => `slip:build:${id}`,
  buildEvents: (id: BuildId) => `slip:build:${id}:events`,
  buildRollouts: (id: BuildId) => `slip:build:${id}:rollouts`,
  turns: 'slip:turns',
  leases: 'slip:leases',
  tagLock: (name: ProjectName, tag: string) => `slip:tag-lock:${name}:${tag}`,
  deliveryPrefix: 'slip:delivery:',
  delivery: (id: DeliveryId) => `slip:delivery:${id}`,
  deliveries: 'slip:deliveries',
  external: (name: ProjectName, externalId: string) => `slip:external:${name}:${sha256(externalId)}`,
  token: (token: string) => `slip:token:${sha256(token)}`,
  rollout: (id: RolloutId) => `slip:rollout:${id}`,
  rolloutPrefix: 'slip:rollout:',
  rolloutBuilds: (id: RolloutId) => `slip:rollout:${id}:builds`,
  rollouts: 'slip:rollouts',
  openRollouts: 'slip:rollouts:open',
  target: (target: Rollout['target']) => `slip:target:${targetName(target)}`,
  rolloutLock: (target: Rollout['target']) => `slip:rollout-lock:${target.namespace}/${target.deployment}`,
  worker: (id: WorkerId) => `slip:worker:${id}`,
  workers: 'slip:workers',
  step: (scope: string, key: string) => `slip:step:${scope}:${key}`,
  place: (scope: string, place: string) => `slip:place:${scope}:${sha256(place)}`,
  stepLease: (scope: string, key: string) => `slip:step-lease:${scope}:${key}`,
  clusterObjects: 'slip:cluster:objects',
  clusterVersion: 'slip:cluster:version',
  clusterHistory: 'slip:cluster:history',
  bullPrefix: 'slip:bull',
} as const

export const channels = {
  buildChanged: 'slip:build-changed',
  cancel: 'slip:cancel',
  rolloutChanged: 'slip:rollout-changed',
  stepFreed: 'slip:step-freed',
} as const

/** `NAMESPACE/DEPLOYMENT/CONTAINER`, as pages and events name a target. */
export function targetName(target: Rollout['target']): string {
  return `${target.namespace}/${target.deployment}/${target.container}`
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
