import { SlipwayError } from '#domain/errors'
import { type GitRequest, type GitTools, resolveCommit } from './git-remote.ts'

/** The commit of a source, which has to be the one that its author wrote down, if any. */
export async function resolveGitCommit(
  request: GitRequest & { checksum: string | null },
  tools: GitTools,
  signal: AbortSignal,
): Promise<string> {
  const { checksum, url } = request
  const commit = await resolveCommit(await withRef(request), tools, signal)
  if (checksum === null || commit.startsWith(checksum.toLowerCase())) return commit
  throw new SlipwayError('step-failed', `${url}: expected checksum to match ${checksum}, got ${commit}`)
}

/** An abbreviated commit is no name that a remote knows: what it is compared with is the default branch. */
async function withRef(request: GitRequest & { checksum: string | null }): Promise<GitRequest> {
  const { ref, checksum } = request
  const isAbbreviated = ref !== null && ref === checksum && !/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(ref)
  return isAbbreviated ? { ...request, ref: null } : request
}
