import { z } from 'zod'
import { CommitSha } from '#domain/ids'
import { BranchName } from '#domain/push'
import { GitlabProject, namedByProject } from './gitlab-project.ts'
import type { HookEvent } from './provider.ts'

// https://docs.gitlab.com/user/project/integrations/webhook_events/#merge-request-events
const MergeRequest = z.object({
  user: z.object({ username: z.string().nullish() }).nullish(),
  project: GitlabProject,
  object_attributes: z.object({
    iid: z.number().int().positive(),
    /** None where the request comes from the hook's test button. */
    action: z.string().nullish(),
    /** Only an update that brought commits has it. */
    oldrev: z.string().nullish(),
    title: z.string().nullish(),
    source_branch: BranchName,
    target_branch: BranchName,
    source_project_id: z.number().nullish(),
    target_project_id: z.number(),
    last_commit: z.object({ id: CommitSha }).nullish(),
  }),
  changes: z.record(z.string(), z.unknown()).nullish(),
})
type MergeRequest = z.infer<typeof MergeRequest>

export function readMergeRequest(payload: unknown): HookEvent {
  const event = MergeRequest.parse(payload)
  const kind = kindOf(event)
  const { object_attributes: request, user, project } = event
  if (kind === null)
    return { kind: 'ignored', reason: `"${request.action ?? 'test'}" changes no commit of a merge request` }
  const commit = request.last_commit?.id ?? null
  if (kind === 'changed' && commit === null) return { kind: 'ignored', reason: 'the merge request has no commit' }
  return {
    kind: 'pull-request',
    pullRequest: {
      number: request.iid,
      kind,
      ref: `refs/merge-requests/${request.iid}/head`,
      commit,
      targetBranch: request.target_branch,
      sourceBranch: request.source_branch,
      isFork: request.source_project_id !== request.target_project_id,
      title: request.title ?? null,
      author: user?.username ?? null,
    },
    repository: namedByProject(project),
  }
}

function kindOf({ object_attributes: { action, oldrev }, changes }: MergeRequest): 'changed' | 'closed' | null {
  if (action === 'close' || action === 'merge') return 'closed'
  if (action === 'open' || action === 'reopen') return 'changed'
  return action === 'update' && (oldrev || changes?.['target_branch'] != null) ? 'changed' : null
}
