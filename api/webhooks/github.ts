import { Webhooks } from '@octokit/webhooks'
import { z } from 'zod'
import { CommitSha } from '#domain/ids'
import { RefName } from '#domain/push'
import { type HookEvent, type HookProvider, header, NO_SECRET } from './provider.ts'

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
  repository: z.object({
    clone_url: z.string(),
    ssh_url: z.string().nullish(),
    html_url: z.string().nullish(),
    default_branch: z.string().nullish(),
  }),
  pusher: z.object({ name: z.string().nullish(), login: z.string().nullish() }).nullish(),
})
type GithubPush = z.infer<typeof GithubPush>

const ZERO_SHA = '0'.repeat(40)
/** GitHub lists at most this many commits of one push. */
const MAX_LISTED_COMMITS = 2048

export const github: HookProvider = {
  name: 'github',
  acceptsForms: true,
  event: (headers) => header(headers, 'x-github-event') ?? 'unknown',
  externalId: (headers) => header(headers, 'x-github-delivery'),
  async refuse(body, headers, secrets) {
    if (!secrets.webhookSecret) return NO_SECRET
    const signature = header(headers, 'x-hub-signature-256')
    if (!signature) return 'the X-Hub-Signature-256 header is missing'
    if (!/^sha256=[0-9a-f]{64}$/.test(signature))
      return 'X-Hub-Signature-256 is not sha256= and 64 lower-case hex digits'
    if (body.length === 0) return 'the body is empty'
    const isGood = await new Webhooks({ secret: secrets.webhookSecret }).verify(body.toString('utf8'), signature)
    return isGood ? null : 'the signature does not match the body and the configured secret'
  },
  read(event, payload) {
    if (event === 'ping') return { kind: 'answered', reason: 'ping' }
    if (event !== 'push') return { kind: 'ignored', reason: `event "${event}" makes no build` }
    return readGithubPush(payload)
  },
}

/** The shape that GitHub gave a push, and that Gitea, Forgejo and Gogs keep. */
export function readGithubPush(payload: unknown): HookEvent {
  const event = GithubPush.parse(payload)
  const { repository } = event
  const isDeleted = event.deleted === true || event.after === ZERO_SHA
  return {
    kind: 'push',
    push: {
      ref: event.ref,
      // `after` of an annotated tag is the tag object; the commit is in `head_commit`.
      commit: isDeleted ? null : (event.head_commit?.id ?? event.after),
      before: event.before && event.before !== ZERO_SHA ? event.before : null,
      repository: repository.clone_url,
      defaultBranch: repository.default_branch ?? null,
      pusher: event.head_commit?.author?.name ?? event.pusher?.name ?? event.pusher?.login ?? null,
      message: event.head_commit?.message ?? null,
    },
    repositories: [repository.clone_url, repository.ssh_url, repository.html_url].filter(
      (url) => typeof url === 'string',
    ),
    changedPaths: changedPaths(event),
  }
}

/** Null where the listed commits are not all that changed: new and forced branches, tags, cut lists. */
function changedPaths(event: GithubPush): string[] | null {
  const commits = event.commits ?? []
  if (!event.before || event.before === ZERO_SHA || event.forced) return null
  if (commits.length === 0 || commits.length >= MAX_LISTED_COMMITS) return null
  return [
    ...new Set(commits.flatMap(({ added, modified, removed }) => [added, modified, removed].flatMap((l) => l ?? []))),
  ]
}
