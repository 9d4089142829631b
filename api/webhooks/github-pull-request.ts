import { z } from 'zod'
import { CommitSha } from '#domain/ids'
import { BranchName } from '#domain/push'
import { GithubRepository, namedBy } from './github-repository.ts'
import type { HookEvent } from './provider.ts'

// https://docs.github.com/en/webhooks/webhook-events-and-payloads#pull_request
const RepositoryId = z.object({ id: z.number() })
const GithubPullRequest = z.object({
  action: z.string(),
  number: z.number().int().positive(),
  changes: z.record(z.string(), z.unknown()).nullish(),
  pull_request: z.object({
    title: z.string().nullish(),
    user: z.object({ login: z.string().nullish() }).nullish(),
    /** Of a fork that was deleted there is no repository. */
    head: z.object({ ref: BranchName, sha: CommitSha, repo: RepositoryId.nullish() }),
    base: z.object({ ref: BranchName, repo: RepositoryId }),
  }),
  repository: GithubRepository,
})
type GithubPullRequest = z.infer<typeof GithubPullRequest>

/** GitHub says `synchronize`, Gitea and its relatives `synchronized`. */
const CHANGED = ['opened', 'synchronize', 'synchronized', 'reopened', 'ready_for_review']

/** The shape that GitHub gave a pull request, and that Gitea and Forgejo keep. */
export function readGithubPullRequest(payload: unknown): HookEvent {
  const event = GithubPullRequest.parse(payload)
  const kind = kindOf(event)
  if (kind === null) return { kind: 'ignored', reason: `"${event.action}" changes no commit of a pull request` }
  const { head, base, title, user } = event.pull_request
  return {
    kind: 'pull-request',
    pullRequest: {
      number: event.number,
      kind,
      ref: `refs/pull/${event.number}/head`,
      commit: head.sha,
      targetBranch: base.ref,
      sourceBranch: head.ref,
      isFork: head.repo?.id !== base.repo.id,
      title: title ?? null,
      author: user?.login ?? null,
    },
    repository: namedBy(event.repository),
  }
}

function kindOf({ action, changes }: GithubPullRequest): 'changed' | 'closed' | null {
  if (action === 'closed') return 'closed'
  // Another target branch may have another rule: GitHub names it `base`, Gitea `ref`.
  const hasNewTarget = action === 'edited' && (changes?.['base'] != null || changes?.['ref'] != null)
  return CHANGED.includes(action) || hasNewTarget ? 'changed' : null
}
