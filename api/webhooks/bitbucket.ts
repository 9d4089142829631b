import { z } from 'zod'
import { CommitSha } from '#domain/ids'
import { RefName } from '#domain/push'
import { readCloudPullRequest, readServerPullRequest } from './bitbucket-pull-request.ts'
import { CloudRepository, namedByServer, ServerRepository } from './bitbucket-repository.ts'
import { firstHeader, header } from './header.ts'
import { type HookEvent, type HookProvider, ignored, type ReadPush, ZERO_SHA } from './provider.ts'
import { refuseHmac } from './signatures.ts'

// https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/
const Person = z.object({ display_name: z.string().nullish(), nickname: z.string().nullish() }).nullish()
const CloudRef = z.object({
  type: z.string(),
  name: z.string(),
  target: z.object({ hash: CommitSha, message: z.string().nullish() }),
})
const CloudPush = z.object({
  actor: Person,
  repository: CloudRepository,
  push: z.object({
    changes: z.array(z.object({ new: CloudRef.nullish(), old: CloudRef.nullish() })).max(1000),
  }),
})

// https://confluence.atlassian.com/bitbucketserver/event-payload-938025882.html
const ServerPush = z.object({
  actor: z.object({ name: z.string().nullish(), displayName: z.string().nullish() }).nullish(),
  repository: ServerRepository,
  changes: z
    .array(
      z.object({
        ref: z.object({ id: z.string() }),
        fromHash: CommitSha,
        toHash: CommitSha,
        type: z.enum(['ADD', 'UPDATE', 'DELETE']),
      }),
    )
    .max(1000),
  toCommit: z.object({ id: z.string(), message: z.string().nullish() }).nullish(),
})

/** Bitbucket Cloud and Data Center: one name of headers, two shapes of payloads. */
export const bitbucket: HookProvider = {
  name: 'bitbucket',
  acceptsForms: false,
  event: (headers) => header(headers, 'x-event-key') ?? 'unknown',
  externalId: (headers) => firstHeader(headers, ['x-request-uuid', 'x-request-id']),
  // The header's name is the one that GitHub uses for SHA-1, but it is SHA-256.
  refuse: (body, headers, { webhookSecret }) =>
    refuseHmac({ headerName: 'X-Hub-Signature', prefix: 'sha256=' }, headers, body, webhookSecret),
  read(event, payload) {
    if (event === 'diagnostics:ping') return { kind: 'answered', reason: 'ping' }
    if (event === 'repo:push') return readCloudPush(CloudPush.parse(payload))
    if (event === 'repo:refs_changed') return readServerPush(ServerPush.parse(payload))
    if (event.startsWith('pullrequest:')) return readCloudPullRequest(event, payload)
    if (event.startsWith('pr:')) return readServerPullRequest(event, payload)
    return ignored(event)
  },
}

/** One push may change several refs. No file is listed, so that path filters see nothing that they could hold back. */
function readCloudPush({ push, repository, actor }: z.infer<typeof CloudPush>): HookEvent {
  const pushes = push.changes.flatMap((change): ReadPush[] => {
    const named = change.new ?? change.old
    if (!named || (named.type !== 'branch' && named.type !== 'tag')) return []
    const facts = {
      ref: RefName.parse(`refs/${named.type === 'tag' ? 'tags' : 'heads'}/${named.name}`),
      commit: change.new?.target.hash ?? null,
      before: change.old?.target.hash ?? null,
      repository: repository.links.html.href,
      defaultBranch: null,
      pusher: actor?.display_name ?? actor?.nickname ?? null,
      message: change.new?.target.message ?? null,
    }
    return [{ push: facts, changedPaths: null }]
  })
  if (pushes.length === 0) return { kind: 'ignored', reason: 'no branch or tag changed' }
  return { kind: 'pushes', pushes, repository: { urls: [repository.links.html.href] } }
}

function readServerPush(event: z.infer<typeof ServerPush>): HookEvent {
  const { repository, actor, toCommit } = event
  const pushes = event.changes.map(({ ref, fromHash, toHash, type }): ReadPush => {
    const isDeleted = type === 'DELETE' || toHash === ZERO_SHA
    const facts = {
      ref: RefName.parse(ref.id),
      commit: isDeleted ? null : toHash,
      before: type === 'ADD' || fromHash === ZERO_SHA ? null : fromHash,
      repository: repository.links?.clone?.[0]?.href ?? null,
      defaultBranch: null,
      pusher: actor?.displayName ?? actor?.name ?? null,
      message: toCommit?.id === toHash ? (toCommit.message ?? null) : null,
    }
    return { push: facts, changedPaths: null }
  })
  if (pushes.length === 0) return { kind: 'ignored', reason: 'no branch or tag changed' }
  return { kind: 'pushes', pushes, repository: namedByServer(repository) }
}
