import { createHash, timingSafeEqual } from 'node:crypto'
import { Webhook } from 'standardwebhooks'
import { z } from 'zod'
import { messageOf } from '#domain/errors'
import { CommitSha } from '#domain/ids'
import { RefName } from '#domain/push'
import { type HookProvider, header, NO_SECRET } from './provider.ts'

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
  project: z.object({
    git_http_url: z.string(),
    git_ssh_url: z.string().nullish(),
    default_branch: z.string().nullish(),
  }),
})
type GitlabPush = z.infer<typeof GitlabPush>

const PUSH_EVENTS = ['Push Hook', 'Tag Push Hook', 'System Hook']
const ZERO_SHA = '0'.repeat(40)

export const gitlab: HookProvider = {
  name: 'gitlab',
  acceptsForms: false,
  event: (headers) => header(headers, 'x-gitlab-event') ?? 'unknown',
  // Never X-Gitlab-Webhook-UUID: it is new for every request.
  externalId: (headers) =>
    header(headers, 'webhook-id') ?? header(headers, 'idempotency-key') ?? header(headers, 'x-gitlab-event-uuid'),
  async refuse(body, headers, secrets) {
    if (secrets.webhookSigningToken) return refuseSigned(body, headers, secrets.webhookSigningToken)
    if (!secrets.webhookSecret) return NO_SECRET
    const token = header(headers, 'x-gitlab-token')
    if (!token) return 'the X-Gitlab-Token header is missing'
    // Hashes have one length, so that the comparison tells nothing about the secret's.
    return timingSafeEqual(sha256(token), sha256(secrets.webhookSecret)) ? null : 'X-Gitlab-Token is wrong'
  },
  read(event, payload) {
    if (!PUSH_EVENTS.includes(event)) return { kind: 'ignored', reason: `event "${event}" makes no build` }
    const kind = z.object({ object_kind: z.string().nullish() }).parse(payload).object_kind
    if (kind !== 'push' && kind !== 'tag_push') return { kind: 'ignored', reason: `event "${kind}" makes no build` }
    return readPush(GitlabPush.parse(payload))
  },
}

/** A configured signing token is the only thing that counts: its absence is no reason to fall back to the plain one. */
function refuseSigned(body: Buffer, headers: Record<string, unknown>, signingToken: string): string | null {
  const signed: Record<string, string> = {}
  for (const name of ['webhook-id', 'webhook-timestamp', 'webhook-signature']) {
    const value = headers[name]
    if (typeof value !== 'string' || value === '') return `the ${name} header is missing`
    signed[name] = value
  }
  try {
    new Webhook(signingToken).verify(body, signed, { jsonParse: false })
    return null
  } catch (error) {
    return `the signature is not good: ${messageOf(error)}`
  }
}

function readPush(event: GitlabPush) {
  const { project } = event
  const commits = event.commits ?? []
  const isDeleted = event.after === ZERO_SHA
  const commit = isDeleted ? null : (event.checkout_sha ?? event.after)
  const head = commits.find(({ id }) => id === commit)
  // At most the first 20 commits are listed.
  const isWhole = event.before !== ZERO_SHA && commits.length > 0 && event.total_commits_count === commits.length
  return {
    kind: 'push' as const,
    push: {
      ref: event.ref,
      commit,
      before: event.before === ZERO_SHA ? null : event.before,
      repository: project.git_http_url,
      defaultBranch: project.default_branch ?? null,
      pusher: head?.author?.name ?? event.user_username ?? null,
      message: head?.message ?? null,
    },
    repositories: [project.git_http_url, project.git_ssh_url].filter((url) => typeof url === 'string'),
    changedPaths: isWhole
      ? commits.flatMap(({ added, modified, removed }) => [added, modified, removed].flatMap((list) => list ?? []))
      : null,
  }
}

const sha256 = (text: string) => createHash('sha256').update(text).digest()
