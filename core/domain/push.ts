import { z } from 'zod'
import { CommitSha } from './ids.ts'

/** A full ref name, limited to what git itself accepts of branch and tag names. */
export const RefName = z
  .string()
  .max(1024)
  // https://git-scm.com/docs/git-check-ref-format
  .refine(isRefName, 'a ref is refs/heads/… or refs/tags/… as git check-ref-format allows')
  .brand<'RefName'>()
export type RefName = z.infer<typeof RefName>

/** A branch's name without `refs/heads/`. */
export const BranchName = z
  .string()
  .max(1000)
  .refine((name) => isRefName(`refs/heads/${name}`), 'a branch is named as git check-ref-format allows')

/** What every provider's push or tag event comes down to. `commit` is null where the ref was deleted. */
export const Push = z.object({
  ref: RefName,
  commit: CommitSha.nullable(),
  before: CommitSha.nullable(),
  /** Clone URL named by the event, if it names one. */
  repository: z.string().nullable(),
  defaultBranch: z.string().nullable(),
  pusher: z.string().nullable(),
  message: z.string().nullable(),
})
export type Push = z.infer<typeof Push>

export interface SourceRef {
  source: 'branch' | 'tag'
  name: string
}

/** `refs/heads/main` is branch main, `refs/tags/v1` is tag v1; anything else is neither. */
export function readRef(ref: string): SourceRef | null {
  if (ref.startsWith('refs/heads/')) return { source: 'branch', name: ref.slice('refs/heads/'.length) }
  if (ref.startsWith('refs/tags/')) return { source: 'tag', name: ref.slice('refs/tags/'.length) }
  return null
}

/** Whether git would accept the full name of a branch or tag. */
export function isRefName(ref: string): boolean {
  const name = readRef(ref)?.name
  if (!name) return false
  // oxlint-disable-next-line no-control-regex
  if (/[\u0000-\u0020\u007f~^:?*[\\]/.test(name)) return false
  if (name.includes('..') || name.includes('@{') || name.endsWith('.') || name.startsWith('-')) return false
  return name.split('/').every((part) => part !== '' && !part.startsWith('.') && !part.endsWith('.lock'))
}
