import { z } from 'zod'
import { CommitSha } from '#domain/ids'
import { BranchName } from '#domain/push'
import { CloudRepository, namedByServer, ServerRepository } from './bitbucket-repository.ts'
import { type HookEvent, ignored } from './provider.ts'

const CloudSide = z.object({
  branch: z.object({ name: BranchName }),
  /** Cloud names the commit by its first twelve digits. */
  commit: z.object({ hash: z.string().regex(/^[0-9a-f]{7,40}$/) }),
  repository: z.object({ full_name: z.string() }).nullish(),
})
const CloudPullRequest = z.object({
  repository: CloudRepository,
  pullrequest: z.object({
    id: z.number().int().positive(),
    title: z.string().nullish(),
    author: z.object({ display_name: z.string().nullish() }).nullish(),
    source: CloudSide,
    destination: CloudSide.omit({ commit: true }),
  }),
})

const CLOUD_KINDS: Record<string, 'changed' | 'closed'> = {
  'pullrequest:created': 'changed',
  'pullrequest:updated': 'changed',
  'pullrequest:fulfilled': 'closed',
  'pullrequest:rejected': 'closed',
}

// https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/#Pull-request-events
export function readCloudPullRequest(event: string, payload: unknown): HookEvent {
  const kind = CLOUD_KINDS[event]
  if (!kind) return ignored(event)
  const { pullrequest, repository } = CloudPullRequest.parse(payload)
  const { source, destination } = pullrequest
  return {
    kind: 'pull-request',
    pullRequest: {
      number: pullrequest.id,
      kind,
      // Cloud keeps no ref of a pull request: its commits are on the branch it comes from.
      ref: `refs/heads/${source.branch.name}`,
      commit: CommitSha.safeParse(source.commit.hash).data ?? null,
      commitStart: source.commit.hash,
      targetBranch: destination.branch.name,
      sourceBranch: source.branch.name,
      isFork: !source.repository || source.repository.full_name !== destination.repository?.full_name,
      title: pullrequest.title ?? null,
      author: pullrequest.author?.display_name ?? null,
    },
    repository: { urls: [repository.links.html.href] },
  }
}

const ServerSide = z.object({
  id: z.string().startsWith('refs/heads/'),
  latestCommit: CommitSha,
  repository: ServerRepository.extend({ id: z.number() }),
})
const ServerPullRequest = z.object({
  pullRequest: z.object({
    id: z.number().int().positive(),
    title: z.string().nullish(),
    author: z.object({ user: z.object({ displayName: z.string().nullish() }).nullish() }).nullish(),
    fromRef: ServerSide,
    toRef: ServerSide,
  }),
})

const SERVER_KINDS: Record<string, 'changed' | 'closed'> = {
  'pr:opened': 'changed',
  'pr:from_ref_updated': 'changed',
  'pr:modified': 'changed',
  'pr:merged': 'closed',
  'pr:declined': 'closed',
  'pr:deleted': 'closed',
}

// https://confluence.atlassian.com/bitbucketserver/event-payload-938025882.html
export function readServerPullRequest(event: string, payload: unknown): HookEvent {
  const kind = SERVER_KINDS[event]
  if (!kind) return ignored(event)
  const { pullRequest } = ServerPullRequest.parse(payload)
  const { fromRef, toRef } = pullRequest
  const branchOf = (ref: string) => BranchName.parse(ref.slice('refs/heads/'.length))
  return {
    kind: 'pull-request',
    pullRequest: {
      number: pullRequest.id,
      kind,
      ref: `refs/pull-requests/${pullRequest.id}/from`,
      commit: fromRef.latestCommit,
      targetBranch: branchOf(toRef.id),
      sourceBranch: branchOf(fromRef.id),
      isFork: fromRef.repository.id !== toRef.repository.id,
      title: pullRequest.title ?? null,
      author: pullRequest.author?.user?.displayName ?? null,
    },
    repository: namedByServer(toRef.repository),
  }
}
