import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { GitPluginError, type SimpleGit } from 'simple-git'
import { messageOf, SlipwayError } from '#domain/errors'
import type { CommitSha, ProjectName } from '#domain/ids'
import { RefName } from '#domain/push'
import { openGit } from './git-command.ts'
import type { GitRemote } from './git-url.ts'

export interface SourceRequest {
  project: ProjectName
  /** Clone URL; null where the project was pushed to our own git endpoint. */
  repository: string | null
  ref: string
  commit: CommitSha
}

/** Who wrote what. */
export interface CommitNote {
  message: string | null
  author: string | null
}

/** What one fetch may bring, packed. */
export const MAX_FETCH_BYTES = 8 * 1024 ** 3
const CHECK_SIZE_MS = 500

interface Fetch {
  mirrorDir: string
  remote: GitRemote
  maxFetchBytes: number
}

/**
 * Brings one commit without its history into a bare repository. A server is asked for the commit itself; one that gives
 * only what has a name is asked for the ref, and when that has moved on, for all that leads to it. What was fetched of a
 * ref before keeps a name, so that the server sends only what differs from it.
 */
export async function fetchCommit(fetch: Fetch, request: SourceRequest, signal: AbortSignal): Promise<CommitNote> {
  const { mirrorDir, remote, maxFetchBytes } = fetch
  using limit = limitSize(mirrorDir, maxFetchBytes)
  const stop = AbortSignal.any([signal, limit.signal])
  const git = openGit({ directory: mirrorDir, protocols: ['https', 'http', 'ssh'], remote }, stop)
  let failure: unknown = null
  let hasFetched = false
  for (const { wanted, depth } of await listTries(git, request)) {
    try {
      await git.raw(['fetch', ...FETCH_OPTIONS, ...depth, '--', remote.url, wanted])
      hasFetched = true
    } catch (error) {
      stop.throwIfAborted()
      if (saysMissing(error, request)) throw missingCommit(request, error)
      // Some servers just hang up on who asks for a commit.
      if (failure !== null) break
      failure = error
    }
    const commit = await readCommit(git, request.commit)
    if (commit) return commit
    stop.throwIfAborted()
  }
  throw hasFetched ? missingCommit(request, failure) : unreachable(remote, failure)
}

const FETCH_OPTIONS = ['--quiet', '--no-tags', '--force', '--no-write-fetch-head', '--no-auto-maintenance']

async function listTries(
  git: SimpleGit,
  { ref, commit }: SourceRequest,
): Promise<{ wanted: string; depth: string[] }[]> {
  const shallow = ['--depth=1']
  const name = RefName.safeParse(ref).data
  if (name === undefined) return [{ wanted: commit, depth: shallow }]
  const isShallow = (await git.raw(['rev-parse', '--is-shallow-repository'])).trim() === 'true'
  const own = `refs/slipway/${Buffer.from(name).toString('hex')}`
  return [
    { wanted: `+${commit}:${own}`, depth: shallow },
    { wanted: `+${name}:${own}`, depth: shallow },
    { wanted: `+${name}:${own}`, depth: isShallow ? ['--unshallow'] : [] },
  ]
}

/** The server looked for the commit and has it no more, or shows it to nobody. */
function saysMissing(error: unknown, { commit }: SourceRequest): boolean {
  const said = messageOf(error)
  return said.includes(`not our ref ${commit}`) || said.includes("couldn't find remote ref")
}

/** Who wrote what; null where the commit is not there. */
export async function readCommit(git: SimpleGit, commit: CommitSha): Promise<CommitNote | null> {
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

/** Whether all trees and files of a commit (or of `--all`) are there; of files not that they can be read to their end. */
export async function isWhole(git: SimpleGit, commit: CommitSha | '--all'): Promise<boolean> {
  const limit = commit === '--all' ? [] : ['--max-count=1']
  try {
    await git.raw(['rev-list', '--objects', '--quiet', ...limit, commit])
    return true
  } catch (error) {
    if (error instanceof GitPluginError) throw error
    return false
  }
}

/** Aborts when what git receives becomes too large: it keeps that in a file that grows. */
function limitSize(mirrorDir: string, maxBytes: number): { signal: AbortSignal } & Disposable {
  const controller = new AbortController()
  const packs = join(mirrorDir, 'objects', 'pack')
  const check = async () => {
    const growing = (await readdir(packs)).filter((name) => name.startsWith('tmp_pack_'))
    const sizes = await Promise.all(growing.map(async (name) => (await stat(join(packs, name))).size))
    const sizeBytes = sizes.reduce((sum, size) => sum + size, 0)
    if (sizeBytes <= maxBytes) return
    const message = `The commit has more than ${maxBytes} bytes, packed, which is what one fetch may bring`
    controller.abort(new SlipwayError('source-unavailable', message))
  }
  const timer = setInterval(() => void check().catch(() => null), CHECK_SIZE_MS)
  return { signal: controller.signal, [Symbol.dispose]: () => clearInterval(timer) }
}

export function missingCommit({ commit, ref }: SourceRequest, cause: unknown = null): SlipwayError {
  const message = `Commit ${commit} is not in the repository, nor in ${ref}: it may have been replaced by a forced push`
  return new SlipwayError('source-unavailable', message, { cause })
}

function unreachable(remote: GitRemote, cause: unknown): SlipwayError {
  const said = messageOf(cause).trim().split('\n').slice(-3).join('; ')
  return new SlipwayError('source-unavailable', `Fetching ${remote.url} failed: ${said}`, { cause })
}
