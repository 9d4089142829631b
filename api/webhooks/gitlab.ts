import { z } from 'zod'
import { CommitSha } from '#domain/ids'
import { RefName } from '#domain/push'
import { readMergeRequest } from './gitlab-merge-request.ts'
import { GitlabProject, namedByProject } from './gitlab-project.ts'
import { firstHeader, header } from './header.ts'
import { type HookEvent, type HookProvider, ignored, ZERO_SHA } from './provider.ts'
import { isSameSecret, NO_SECRET, refuseStandard } from './signatures.ts'

// https://docs.gitlab.com/user/project/integrations/webhook_events/#push-events
const PathList = z.array(z.string()).nullish()
const Commit = z.object({
  id: z.string(),
  message: z.string().nullish(),
  author: z.object({ name: z.string().nullish() }).nullish(),
  added: PathList,
  modified: PathList,
  removed: PathList,
})
const GitlabPush = z.object({
  object_kind: z.enum(['push', 'tag_push']),
  ref: RefName,
  before: CommitSha,
  after: CommitSha,
  /** The commit of an annotated tag, where `after` is the tag object. */
  checkout_sha: CommitSha.nullish(),
  user_username: z.string().nullish(),
  commits: z.array(Commit).nullish(),
  total_commits_count: z.number().nullish(),
  push_options: z.unknown().optional(),
  project: GitlabProject,
})
type GitlabPush = z.infer<typeof GitlabPush>

const EVENTS = ['Push Hook', 'Tag Push Hook', 'Merge Request Hook', 'System Hook']
const SkipOption = z.object({ ci: z.object({ skip: z.union([z.literal(true), z.literal('true')]) }) })

export const gitlab: HookProvider = {
  name: 'gitlab',
  acceptsForms: false,
  event: (headers) => header(headers, 'x-gitlab-event') ?? 'unknown',
  // Never X-Gitlab-Webhook-UUID: it is new for every request.
  externalId: (headers) => firstHeader(headers, ['webhook-id', 'idempotency-key', 'x-gitlab-event-uuid']),
  refuse(body, headers, { webhookSecret, webhookSigningToken }) {
    // A configured signing token is the only thing that counts: its absence is no reason to fall back to the plain one.
    if (webhookSigningToken) return refuseStandard(headers, body, webhookSigningToken)
    if (!webhookSecret) return NO_SECRET
    const token = header(headers, 'x-gitlab-token')
    if (!token) return 'the X-Gitlab-Token header is missing'
    return isSameSecret(token, webhookSecret) ? null : 'X-Gitlab-Token is wrong'
  },
  read(event, payload) {
    if (!EVENTS.includes(event)) return ignored(event)
    const kind = z.object({ object_kind: z.string().nullish() }).parse(payload).object_kind
    if (kind === 'merge_request') return readMergeRequest(payload)
    if (kind !== 'push' && kind !== 'tag_push') return ignored(kind ?? 'unknown')
    return readPush(GitlabPush.parse(payload))
  },
}

function readPush(event: GitlabPush): HookEvent {
  const { project } = event
  const commits = event.commits ?? []
  const commit = event.after === ZERO_SHA ? null : (event.checkout_sha ?? event.after)
  const head = commits.find(({ id }) => id === commit)
  // At most the first 20 commits are listed.
  const isWhole = event.before !== ZERO_SHA && commits.length > 0 && event.total_commits_count === commits.length
  const push = {
    ref: event.ref,
    commit,
    before: event.before === ZERO_SHA ? null : event.before,
    repository: project.git_http_url,
    defaultBranch: project.default_branch ?? null,
    pusher: head?.author?.name ?? event.user_username ?? null,
    message: head?.message ?? null,
  }
  const changedPaths = isWhole
    ? commits.flatMap(({ added, modified, removed }) => [added, modified, removed].flatMap((list) => list ?? []))
    : null
  const skip = SkipOption.safeParse(event.push_options).success ? { skip: 'the push option ci.skip was given' } : {}
  return { kind: 'pushes', pushes: [{ push, changedPaths, ...skip }], repository: namedByProject(project) }
}
