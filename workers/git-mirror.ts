import { createHash } from 'node:crypto'
import { access, mkdir, readdir, rename, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { GitPluginError, type SimpleGit } from 'simple-git'
import { messageOf, SlipwayError } from '#domain/errors'
import type { CommitSha, ProjectName } from '#domain/ids'
import { RefName } from '#domain/push'
import { openGit } from './git-command.ts'
import { type GitRemote, parseGitUrl } from './git-url.ts'

interface SourceRequest {
  project: ProjectName
  /** Clone URL; null where the project was pushed to our own git endpoint. */
  repository: string | null
  ref: string
  commit: CommitSha
}

/** A bare repository that has the commit. */
interface Source {
  repositoryDir: string
  message: string | null
  author: string | null
}

export interface GitMirrors {
  /** Fails with kind `source-unavailable`. */
  fetch(request: SourceRequest, signal: AbortSignal): Promise<Source>
  /** Removes mirrors that nobody used for so long. */
  removeUnused(olderThanMs: number): Promise<void>
}

/** Mirrors below `<dir>/mirrors`; pushed repositories are read where they lie, in `<dir>/repos/NS/NAME.git`. */
export function openGitMirrors(dir: string): GitMirrors {
  const mirrorsDir = join(dir, 'mirrors')
  const turns = new Map<string, Promise<unknown>>()
  /** One fetch of a repository at a time: the second one finds what the first one brought. */
  const inTurn = <T>(key: string, work: () => Promise<T>): Promise<T> => {
    const turn = (turns.get(key) ?? Promise.resolve()).then(work)
    const settled = turn.then(
      () => null,
      () => null,
    )
    turns.set(key, settled)
    return turn
  }
  return {
    async fetch(request, signal) {
      if (request.repository === null) return readPushed(join(dir, 'repos', `${request.project}.git`), request, signal)
      const remote = parseGitUrl(request.repository)
      const mirrorDir = join(mirrorsDir, mirrorName(request.project, remote))
      return inTurn(mirrorDir, () => fetchMirror(mirrorDir, remote, request, signal))
    },
    async removeUnused(olderThanMs) {
      const names = await readdir(mirrorsDir).catch(() => [])
      for (const name of names) {
        const path = join(mirrorsDir, name)
        if ((await stat(path)).mtimeMs < olderThanMs)
          await inTurn(path, () => rm(path, { recursive: true, force: true }))
      }
    },
  }
}

/** A project's own: what one project's credentials fetched is not for another one that names the same URL. */
function mirrorName(project: ProjectName, remote: GitRemote): string {
  return `${createHash('sha256').update(`${project} ${remote.url}`).digest('hex').slice(0, 32)}.git`
}

async function readPushed(repositoryDir: string, request: SourceRequest, signal: AbortSignal): Promise<Source> {
  await access(repositoryDir).catch((cause: unknown) => {
    throw new SlipwayError('source-unavailable', `Nothing was pushed to ${request.project} yet`, { cause })
  })
  const git = openGit({ directory: repositoryDir, protocols: [] }, signal)
  const commit = await readCommit(git, request.commit)
  signal.throwIfAborted()
  if (!commit) throw missingCommit(request)
  return { repositoryDir, ...commit }
}

async function fetchMirror(
  mirrorDir: string,
  remote: GitRemote,
  request: SourceRequest,
  signal: AbortSignal,
): Promise<Source> {
  await createMirror(mirrorDir, signal)
  const git = openGit({ directory: mirrorDir, protocols: ['https', 'http', 'ssh'], remote }, signal)
  const commit = (await readCommit(git, request.commit)) ?? (await fetchCommit(git, remote, request, signal))
  const nowS = Date.now() / 1000
  await utimes(mirrorDir, nowS, nowS)
  return { repositoryDir: mirrorDir, ...commit }
}

async function createMirror(mirrorDir: string, signal: AbortSignal): Promise<void> {
  const exists = await access(mirrorDir).then(
    () => true,
    () => false,
  )
  if (exists) return
  const fresh = `${mirrorDir}.new`
  await rm(fresh, { recursive: true, force: true })
  await mkdir(fresh, { recursive: true })
  await openGit({ directory: fresh, protocols: [] }, signal).raw(['init', '--bare', '--quiet'])
  await rename(fresh, mirrorDir)
}

/** The ref's newest commit is nearly always the one; a server may also give a commit by name; else the whole history. */
async function fetchCommit(
  git: SimpleGit,
  remote: GitRemote,
  request: SourceRequest,
  signal: AbortSignal,
): Promise<Pick<Source, 'message' | 'author'>> {
  const ref = RefName.safeParse(request.ref).data
  const isShallow = (await git.raw(['rev-parse', '--is-shallow-repository'])).trim() === 'true'
  const whole = isShallow ? ['--unshallow'] : []
  const tries = [
    ...(ref ? [{ depth: ['--depth=1'], wanted: `+${ref}:${ref}` }] : []),
    { depth: ['--depth=1'], wanted: request.commit },
    ...(ref ? [{ depth: whole, wanted: `+${ref}:${ref}` }] : []),
  ]
  const options = ['--quiet', '--no-tags', '--force', '--no-write-fetch-head']
  let failure: unknown = null
  for (const { depth, wanted } of tries) {
    try {
      await git.raw(['fetch', ...options, ...depth, '--', remote.url, wanted])
      failure = null
    } catch (error) {
      signal.throwIfAborted()
      failure ??= error
    }
    const commit = await readCommit(git, request.commit)
    if (commit) return commit
    signal.throwIfAborted()
  }
  throw failure === null ? missingCommit(request) : unreachable(remote, failure)
}

/** Who wrote what; null where the commit is not there. */
async function readCommit(git: SimpleGit, commit: CommitSha): Promise<Pick<Source, 'message' | 'author'> | null> {
  try {
    const text = await git.raw(['show', '--no-patch', '--format=%an%x00%s', `${commit}^{commit}`])
    const [author = '', message = ''] = text.trim().split('\0')
    return { author: author.slice(0, 256) || null, message: message.slice(0, 1024) || null }
  } catch (error) {
    // Whatever git itself says is a no; what kept git from being asked, or stopped it, is not.
    if (error instanceof GitPluginError) throw error
    return null
  }
}

function missingCommit({ commit, ref }: SourceRequest): SlipwayError {
  return new SlipwayError('source-unavailable', `Commit ${commit} is not in the repository, nor in ${ref}`)
}

function unreachable(remote: GitRemote, cause: unknown): SlipwayError {
  const said = messageOf(cause).trim().split('\n').slice(-3).join('; ')
  return new SlipwayError('source-unavailable', `Fetching ${remote.url} failed: ${said}`, { cause })
}
