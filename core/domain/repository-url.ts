import { z } from 'zod'

/** The git transports a project may name: no local paths, no helpers such as `ext::`, nothing git could read as an option. */
export const RepositoryUrl = z
  .string()
  .max(2048)
  .refine(isRepositoryUrl, 'a repository is https://…, http://…, ssh://… or user@host:path')

// https://git-scm.com/docs/git-clone#_git_urls
const SCP_LIKE = /^([A-Za-z0-9_][A-Za-z0-9._-]*)@([A-Za-z0-9][A-Za-z0-9.-]*):(?!-)([^\s:][^\s]*)$/

function isRepositoryUrl(text: string): boolean {
  // oxlint-disable-next-line no-control-regex
  if (/[\u0000-\u0020\u007f]/.test(text)) return false
  if (SCP_LIKE.test(text)) return true
  if (!/^(?:https?|ssh):\/\//.test(text) || !URL.canParse(text)) return false
  const url = new URL(text)
  return (
    url.hostname !== '' && !url.hostname.startsWith('-') && !url.username.startsWith('-') && url.pathname.length > 1
  )
}

/** What two URLs of one repository have in common: host and path, without scheme, user, `.git` and letter case. */
export function repositoryKey(text: string): string {
  const scp = SCP_LIKE.exec(text)
  const [host, path] = scp ? [scp[2], scp[3]] : splitUrl(text)
  const trimmed = (path ?? '').replace(/^\/+|\/+$/g, '').replace(/\.git$/, '')
  return `${host ?? ''}/${trimmed}`.toLowerCase()
}

function splitUrl(text: string): [string, string] {
  if (!URL.canParse(text)) return ['', text]
  const url = new URL(text)
  // A port says where ssh or http listen, not which repository it is.
  return [url.hostname, url.pathname]
}

/** Whether a repository's URL ends with `PROJECT/NAME`, in whatever letter case. */
export function isPathOf(url: string, path: string): boolean {
  return path !== '' && repositoryKey(url).endsWith(`/${path.toLowerCase()}`)
}
