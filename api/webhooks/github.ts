import { z } from 'zod'
import { CommitSha } from '#domain/ids'
import { RefName } from '#domain/push'
import { readGithubPullRequest } from './github-pull-request.ts'
import { GithubRepository, namedBy } from './github-repository.ts'
import { header } from './header.ts'
import { readPackage } from './image-events.ts'
import { type HookEvent, type HookProvider, ignored, ZERO_SHA } from './provider.ts'
import { refuseGithub } from './signatures.ts'

// https://docs.github.com/en/webhooks/webhook-events-and-payloads#push
const PathList = z.array(z.string()).nullish()
const GithubPush = z.object({
  ref: RefName,
  before: CommitSha.nullish(),
  after: CommitSha,
  deleted: z.boolean().nullish(),
  forced: z.boolean().nullish(),
  head_commit: z
    .object({ id: CommitSha, message: z.string().nullish(), author: z.object({ name: z.string() }).nullish() })
    .nullish(),
  commits: z.array(z.object({ added: PathList, modified: PathList, removed: PathList })).nullish(),
  /** Gitea and Forgejo cut the list of commits, and say how many there were. */
  total_commits: z.number().nullish(),
  repository: GithubRepository,
  pusher: z.object({ name: z.string().nullish(), login: z.string().nullish() }).nullish(),
})
type GithubPush = z.infer<typeof GithubPush>

/** GitHub lists at most this many commits of one push. */
const MAX_LISTED_COMMITS = 2048

export const github: HookProvider = {
  name: 'github',
  acceptsForms: true,
  event: (headers) => header(headers, 'x-github-event') ?? 'unknown',
  externalId: (headers) => header(headers, 'x-github-delivery'),
  refuse: (body, headers, { webhookSecret }) => refuseGithub(headers, body, webhookSecret),
  read(event, payload) {
    if (event === 'ping') return { kind: 'answered', reason: 'ping' }
    if (event === 'push') return readGithubPush(payload)
    if (event === 'pull_request') return readGithubPullRequest(payload)
    if (event === 'registry_package' || event === 'package') return readPackage(payload)
    if (event === 'create' || event === 'delete')
      return { kind: 'ignored', reason: `event "${event}" says what the push event says already` }
    return ignored(event)
  },
}

/** The shape that GitHub gave a push, and that Gitea, Forgejo and Gogs keep. */
export function readGithubPush(payload: unknown): HookEvent {
  const event = GithubPush.parse(payload)
  const { repository } = event
  const isDeleted = event.deleted === true || event.after === ZERO_SHA
  const push = {
    ref: event.ref,
    // `after` of an annotated tag is the tag object; the commit is in `head_commit`.
    commit: isDeleted ? null : (event.head_commit?.id ?? event.after),
    before: event.before && event.before !== ZERO_SHA ? event.before : null,
    repository: repository.clone_url,
    defaultBranch: repository.default_branch ?? null,
    pusher: event.head_commit?.author?.name ?? event.pusher?.name ?? event.pusher?.login ?? null,
    message: event.head_commit?.message ?? null,
  }
  return { kind: 'pushes', pushes: [{ push, changedPaths: changedPaths(event) }], repository: namedBy(repository) }
}

/** Null where the listed commits are not all that changed: new and forced branches, tags, cut lists. */
function changedPaths(event: GithubPush): string[] | null {
  const commits = event.commits ?? []
  if (!event.before || event.before === ZERO_SHA || event.forced) return null
  if (commits.length === 0 || commits.length >= MAX_LISTED_COMMITS) return null
  if (event.total_commits && event.total_commits > commits.length) return null
  return [
    ...new Set(commits.flatMap(({ added, modified, removed }) => [added, modified, removed].flatMap((l) => l ?? []))),
  ]
}
