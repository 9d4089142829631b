import { decide } from '#domain/decide'
import type { Ignored } from '#domain/delivery'
import { SlipwayError } from '#domain/errors'
import type { CommitSha } from '#domain/ids'
import type { Project } from '#domain/project'
import type { PullRequest } from '#domain/pull-request'
import { cancelBuildsOf } from '../builds/cancel-builds-of.ts'
import { requestBuilds } from '../builds/request-builds.ts'
import { resolveRef } from '../builds/resolve-ref.ts'
import type { ApiDeps } from '../deps.ts'
import { ignoredFor, type Judged, type Occasion, without } from './trusted-hook.ts'

const NO_RULE = 'no rule asks for a build of this pull request'

/** Builds what a pull request would bring, without pushing it anywhere; a stranger's only once its commit is approved. */
export async function handlePullRequest(
  deps: ApiDeps,
  project: Project,
  request: PullRequest,
  { key, occasion }: { key: string; occasion: Occasion['kind'] },
): Promise<Judged> {
  if (request.kind === 'closed') return close(deps, project, request)
  const source = { source: 'pull-request' as const, name: request.targetBranch }
  const asked = { ...source, sha: request.commit, message: null, changedPaths: null, isManual: false }
  const outcomes = decide(asked, project.rules)
  const ignored = outcomes.filter(({ matches }) => !matches).map(({ rule, reason }) => ({ rule, reason }))
  if (ignored.length === outcomes.length) return without({ kind: 'ignored', reason: NO_RULE, ignored })
  if (request.commit === null && request.isFork)
    return ignoredFor("the commits of a fork's pull request are not in this project's repository")
  const found = request.commit ? { commit: request.commit } : await commitOfBranch(deps, project, request)
  if ('reason' in found) return ignoredFor(found.reason)
  const { commit } = found
  if (request.isFork && occasion !== 'approved') {
    const isApproved = await deps.store.deliveries.isApproved(project.name, `${request.number} ${commit}`)
    if (!isApproved) return waiting(request, commit, ignored)
  }
  const { builds, ignored: others } = await requestBuilds(deps.store, {
    project,
    ref: request.ref,
    source,
    commit,
    message: request.title,
    author: request.author,
    changedPaths: null,
    // Reopening or editing brings nothing new to build.
    key: occasion === 'again' ? key : `pull-request ${request.number} ${commit}`,
    trigger: 'pull-request',
    isFork: request.isFork,
  })
  if (builds.length === 0) return without({ kind: 'ignored', reason: NO_RULE, ignored: others })
  return { verdict: { kind: 'accepted', builds: builds.map(({ id }) => id), ignored: others }, builds }
}

/** Where the provider names the commit by a part of it, the branch is asked for the whole; or why there is none. */
async function commitOfBranch(
  { config }: ApiDeps,
  project: Project,
  { sourceBranch, commitStart = '' }: PullRequest,
): Promise<{ commit: CommitSha } | { reason: string }> {
  try {
    const { commit } = await resolveRef(config.dataDir, project, `refs/heads/${sourceBranch}`)
    if (commitStart !== '' && commit.startsWith(commitStart)) return { commit }
    return { reason: `branch ${sourceBranch} has moved on from ${commitStart} to ${commit}` }
  } catch (error) {
    if (!(error instanceof SlipwayError)) throw error
    return { reason: error.message }
  }
}

function waiting(request: PullRequest, commit: CommitSha, ignored: Ignored[]): Judged {
  const reason = `pull request ${request.number} is of a fork: commit ${commit} is built once somebody approves it`
  return without({ kind: 'waiting', reason, pullRequest: request.number, commit, ignored })
}

async function close({ store }: ApiDeps, project: Project, { number, ref }: PullRequest): Promise<Judged> {
  const reason = `pull request ${number} was closed`
  const cancelled = await cancelBuildsOf(store, project.name, (build) => build.ref === ref && !build.push, reason)
  return ignoredFor(cancelled === 0 ? reason : `${reason}; ${cancelled} of its builds cancelled`)
}
