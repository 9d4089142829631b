import type { CommitSha } from './ids.ts'

/** What every provider's pull or merge request event comes down to. */
export interface PullRequest {
  number: number
  /** `changed`: there is a commit to build. `closed`: nobody needs its builds any more. */
  kind: 'changed' | 'closed'
  /** Where the target repository keeps its commits: `refs/pull/7/head`. */
  ref: string
  /** Commit at its head; null where the provider names it by a part of it only. */
  commit: CommitSha | null
  /** That part: the first digits of the commit. */
  commitStart?: string
  /** Branch it wants to go into, without `refs/heads/`. */
  targetBranch: string
  sourceBranch: string
  /** Its commits are of another repository, or of one that is gone: not everybody who wrote them may use this project. */
  isFork: boolean
  title: string | null
  author: string | null
}
