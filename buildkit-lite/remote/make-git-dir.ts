import { mkdir, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { runGit } from '../context/git-objects.ts'

export interface GitDirRequest {
  /** Made by this; its parent exists. */
  directory: string
  /** A bare repository that has the commit. */
  mirror: string
  commit: string
  /** What `origin` is; null leaves it out. */
  url: string | null
}

/** What only matters to work that goes on, or differs from one time to the next. */
const DISPENSABLE = ['FETCH_HEAD', 'logs', 'hooks', 'branches', 'description', 'info']

/** The `.git` of a checkout of one commit: detached at it, without history, with the place it came from as `origin`. */
export async function makeGitDir(
  { directory, mirror, commit, url }: GitDirRequest,
  signal: AbortSignal,
): Promise<void> {
  await mkdir(directory, { recursive: true })
  const git = async (...args: string[]) =>
    await runGit({ gitDir: directory, args, env: { GIT_ALLOW_PROTOCOL: 'file' }, signal })
  const format = commit.length === 64 ? 'sha256' : 'sha1'
  await git('init', '--quiet', '--template=', `--object-format=${format}`)
  await git('config', 'core.bare', 'false')
  if (url !== null) {
    await git('config', 'remote.origin.url', withoutCredentials(url))
    await git('config', 'remote.origin.fetch', '+refs/heads/*:refs/remotes/origin/*')
  }
  await git('fetch', '--quiet', '--depth=1', '--no-tags', '--', resolve(mirror), commit)
  await git('update-ref', '--no-deref', 'HEAD', commit)
  await git('read-tree', commit)
  for (const name of DISPENSABLE) await rm(join(directory, name), { recursive: true, force: true })
}

function withoutCredentials(url: string): string {
  const parsed = URL.parse(url)
  if (!parsed || (parsed.username === '' && parsed.password === '')) return url
  if (parsed.password !== '' || /^https?:$/.test(parsed.protocol)) {
    parsed.password = ''
    if (/^https?:$/.test(parsed.protocol)) parsed.username = ''
  }
  return parsed.href
}
