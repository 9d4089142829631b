import { mkdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { CommitSha, type ProjectName } from '#domain/ids'
import { ExecError, run } from '#host/exec'

/** What git sees of the environment: no settings of the machine or its users, no prompts, no local transports. */
export const GIT_ENV = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/nonexistent',
  LC_ALL: 'C.UTF-8',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_TERMINAL_PROMPT: '0',
  GIT_ALLOW_PROTOCOL: 'https:http:ssh',
  GIT_SSH_COMMAND: 'ssh -o BatchMode=yes',
} as const

/** Below this lie the bare repositories, as `NS/NAME.git`. */
export function repositoriesDir(dataDir: string): string {
  return join(dataDir, 'git', 'repos')
}

export function repositoryDir(dataDir: string, project: ProjectName): string {
  return join(repositoriesDir(dataDir), `${project}.git`)
}

export async function hasRepository(dataDir: string, project: ProjectName): Promise<boolean> {
  return stat(join(repositoryDir(dataDir, project), 'HEAD')).then(
    () => true,
    () => false,
  )
}

/** Makes an empty bare repository where there is none. */
export async function ensureRepository(dataDir: string, project: ProjectName, defaultBranch: string): Promise<void> {
  if (await hasRepository(dataDir, project)) return
  const dir = repositoryDir(dataDir, project)
  await mkdir(dirname(dir), { recursive: true, mode: 0o700 })
  await run('git', ['init', '--quiet', '--bare', `--initial-branch=${defaultBranch}`, '--', dir], { env: GIT_ENV })
}

/** What a clone without a branch's name checks out. */
export async function setHead(dir: string, branch: string): Promise<void> {
  await git(dir, ['symbolic-ref', 'HEAD', `refs/heads/${branch}`])
}

export interface CommitFacts {
  commit: CommitSha
  message: string
  author: string
}

/** The commit behind a branch, a tag (annotated or not) or a commit's name; null where there is none. */
export async function readCommit(dir: string, ref: string): Promise<CommitFacts | null> {
  try {
    const format = '--format=%H%x00%an%x00%B'
    const shown = await git(dir, ['log', '-1', '--no-show-signature', format, '--end-of-options', `${ref}^{commit}`])
    const [sha = '', author = '', message = ''] = shown.split('\0')
    return { commit: CommitSha.parse(sha), author, message: message.trim().slice(0, 2000) }
  } catch (error) {
    if (error instanceof ExecError) return null
    throw error
  }
}

/** Paths that differ between two commits; null where the earlier one is gone, or too many to list. */
export async function changedPaths(dir: string, before: CommitSha, after: CommitSha): Promise<string[] | null> {
  try {
    const listed = await git(dir, ['diff-tree', '-r', '-z', '--name-only', '--no-renames', before, after])
    return listed.split('\0').filter((path) => path !== '')
  } catch {
    return null
  }
}

async function git(dir: string, args: readonly string[]): Promise<string> {
  const command = ['-c', 'safe.directory=*', '--git-dir', dir, ...args]
  const { stdout } = await run('git', command, { env: GIT_ENV, maxOutputBytes: 4 * 1024 * 1024 })
  return stdout.toString('utf8')
}
