import { SlipwayError } from '#domain/errors'
import { CommitSha } from '#domain/ids'
import type { Project } from '#domain/project'
import { isRefName, readRef, type SourceRef } from '#domain/push'
import { ExecError, run } from '#host/exec'
import { GIT_ENV, readCommit, repositoryDir } from '../git/repositories.ts'

export interface ResolvedRef {
  ref: string
  /** Null where a commit was named, and no branch or tag. */
  source: SourceRef | null
  commit: CommitSha
  message: string | null
  author: string | null
}

const LS_REMOTE_TIMEOUT_MS = 30_000

/** Finds the commit that a person means: in our own repository, or by asking the remote one. */
export async function resolveRef(dataDir: string, project: Project, text: string): Promise<ResolvedRef> {
  const commit = CommitSha.safeParse(text)
  const refs = commit.success ? [] : candidateRefs(text)
  if (!commit.success && refs.length === 0) throw new SlipwayError('invalid', `"${text}" is no branch, tag or commit`)
  if (project.repository !== null)
    return commit.success
      ? { ref: commit.data, source: null, commit: commit.data, message: null, author: null }
      : askRemote(project.repository, refs)
  const dir = repositoryDir(dataDir, project.name)
  for (const ref of commit.success ? [commit.data] : refs) {
    const found = await readCommit(dir, ref)
    if (found) return { ref, source: readRef(ref), ...found }
  }
  throw new SlipwayError('not-found', `Project ${project.name} has no ${text}: nothing of that name was pushed`)
}

/** A short name may be a branch or a tag; the branch comes first, as for `git checkout`. */
function candidateRefs(text: string): string[] {
  if (text.startsWith('refs/')) return isRefName(text) ? [text] : []
  return [`refs/heads/${text}`, `refs/tags/${text}`].filter(isRefName)
}

async function askRemote(url: string, refs: string[]): Promise<ResolvedRef> {
  const lines = await listRemote(url, refs)
  for (const ref of refs) {
    // `^{}` is the commit behind an annotated tag.
    const sha = lines.get(`${ref}^{}`) ?? lines.get(ref)
    if (sha) return { ref, source: readRef(ref), commit: CommitSha.parse(sha), message: null, author: null }
  }
  throw new SlipwayError('not-found', `${url} has none of ${refs.join(', ')}`)
}

async function listRemote(url: string, refs: string[]): Promise<Map<string, string>> {
  const patterns = refs.flatMap((ref) => [ref, `${ref}^{}`])
  try {
    const { stdout } = await run('git', ['ls-remote', '--', url, ...patterns], {
      env: GIT_ENV,
      signal: AbortSignal.timeout(LS_REMOTE_TIMEOUT_MS),
      maxOutputBytes: 1024 * 1024,
    })
    const lines = stdout.toString('utf8').split('\n')
    return new Map(lines.map((line) => line.split('\t')).map(([sha = '', ref = '']) => [ref, sha]))
  } catch (error) {
    const why = error instanceof ExecError ? error.stderr.trim().split('\n').at(-1) : 'it did not answer in time'
    throw new SlipwayError('source-unavailable', `${url} could not be asked for its refs: ${why}`, { cause: error })
  }
}
