import { createHash, randomBytes } from 'node:crypto'
import { access, mkdir, readdir, rename, rm, stat, utimes } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { lockGitMirror } from '#buildkit-lite'
import { messageOf, SlipwayError } from '#domain/errors'
import type { CommitSha, ProjectName } from '#domain/ids'
import { openGit } from './git-command.ts'
import {
  type CommitNote,
  fetchCommit,
  isWhole,
  MAX_FETCH_BYTES,
  missingCommit,
  readCommit,
  type SourceRequest,
} from './git-fetch.ts'
import { type GitRemote, parseGitUrl } from './git-url.ts'

/** A bare repository that has the commit. */
interface Source extends CommitNote {
  repositoryDir: string
}

export interface GitMirrors {
  /** Fails with kind `source-unavailable`. */
  fetch(request: SourceRequest, signal: AbortSignal): Promise<Source>
  /**
   * What to make of an error of a build that read this source: where the mirror is damaged, it is thrown away, and the
   * answer is an error of kind `unavailable`, as the build would succeed now. Else it is the error itself.
   */
  explain(error: unknown, source: { repositoryDir: string; commit: CommitSha }): Promise<unknown>
  /** Removes mirrors that nobody used for so long. */
  removeUnused(olderThanMs: number): Promise<void>
}

/** Packs beyond this many slow reading down, and are made one. */
const MAX_PACKS = 50
/** Commits that are known to be whole; more are looked at again. */
const MAX_WHOLE = 1000

/**
 * Mirrors below `<dir>/mirrors`; pushed repositories are read where they lie, in `<dir>/repos/NS/NAME.git`. A mirror is
 * changed by who holds its lock, which the kernel releases when that process ends, however it ends. One that is found
 * damaged is thrown away and made again: it holds nothing that the remote does not have.
 */
export function openGitMirrors(dir: string, maxFetchBytes = MAX_FETCH_BYTES): GitMirrors {
  const mirrorsDir = join(dir, 'mirrors')
  const whole = new Set<string>()
  const fetchSource = async (request: SourceRequest, signal: AbortSignal): Promise<Source> => {
    if (request.repository === null) return readPushed(join(dir, 'repos', `${request.project}.git`), request, signal)
    const remote = parseGitUrl(request.repository)
    const mirrorDir = join(mirrorsDir, mirrorName(request.project, remote))
    const known = `${mirrorDir} ${request.commit}`
    const commit =
      (await readWhole(mirrorDir, request, { isTrusted: whole.has(known) }, signal)) ??
      (await fetchMirror({ mirrorDir, remote, maxFetchBytes }, request, signal))
    if (whole.size >= MAX_WHOLE) whole.clear()
    whole.add(known)
    const nowS = Date.now() / 1000
    await utimes(mirrorDir, nowS, nowS)
    return { repositoryDir: mirrorDir, ...commit }
  }
  return {
    async fetch(request, signal) {
      try {
        signal.throwIfAborted()
        return await fetchSource(request, signal)
      } catch (error) {
        // What git says of an abort hides its reason.
        signal.throwIfAborted()
        throw error
      }
    },
    async explain(error, { repositoryDir, commit }) {
      const isMirror = dirname(repositoryDir) === mirrorsDir
      if (!isMirror || !saysDamaged(error) || (await isSound(repositoryDir, commit))) return error
      await using _lock = await lockGitMirror(repositoryDir, new AbortController().signal)
      // Whoever had the lock before may have made it again.
      if (!(await isSound(repositoryDir, commit))) await rm(repositoryDir, { recursive: true, force: true })
      whole.clear()
      const message = `The mirror of the repository was damaged, and is fetched again: ${messageOf(error)}`
      return new SlipwayError('unavailable', message, { cause: error })
    },
    async removeUnused(olderThanMs) {
      const names = await readdir(mirrorsDir).catch(() => [])
      for (const name of names.filter((one) => !one.endsWith('.lock'))) {
        const path = join(mirrorsDir, name)
        const isUnused = async () => ((await stat(path).catch(() => null))?.mtimeMs ?? Infinity) < olderThanMs
        if (!(await isUnused())) continue
        await using _lock = await lockGitMirror(path, new AbortController().signal)
        if (await isUnused()) await rm(path, { recursive: true, force: true })
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

/** The commit, where a mirror has it with all its files. What git has checked when it came need not be again. */
async function readWhole(
  mirrorDir: string,
  { commit }: SourceRequest,
  { isTrusted }: { isTrusted: boolean },
  signal: AbortSignal,
): Promise<CommitNote | null> {
  if (!(await isThere(mirrorDir))) return null
  const git = openGit({ directory: mirrorDir, protocols: [] }, signal)
  const found = await readCommit(git, commit)
  signal.throwIfAborted()
  return found && (isTrusted || (await isWhole(git, commit))) ? found : null
}

interface Mirror {
  mirrorDir: string
  remote: GitRemote
  maxFetchBytes: number
}

async function fetchMirror(mirror: Mirror, request: SourceRequest, signal: AbortSignal): Promise<CommitNote> {
  const { mirrorDir } = mirror
  await mkdir(join(mirrorDir, '..'), { recursive: true })
  await using _lock = await lockGitMirror(mirrorDir, signal)
  // Who held the lock before may have brought it.
  const brought = await readWhole(mirrorDir, request, { isTrusted: false }, signal)
  if (brought) return brought
  const isNew = await createMirror(mirrorDir, signal)
  try {
    return await fetchWhole(mirror, request, signal)
  } catch (error) {
    signal.throwIfAborted()
    if (isNew || !(saysDamaged(error) || (await isBroken(mirrorDir, request, signal)))) throw error
  }
  const damaged = `${mirrorDir}.damaged-${randomBytes(4).toString('hex')}`
  await rename(mirrorDir, damaged)
  await createMirror(mirrorDir, signal)
  await rm(damaged, { recursive: true, force: true })
  return await fetchWhole(mirror, request, signal)
}

async function fetchWhole(mirror: Mirror, request: SourceRequest, signal: AbortSignal): Promise<CommitNote> {
  const commit = await fetchCommit(mirror, request, signal)
  const git = openGit({ directory: mirror.mirrorDir, protocols: [] }, signal)
  if (!(await isWhole(git, request.commit))) {
    const message = `Commit ${request.commit} came without some of its files from ${mirror.remote.url}`
    throw new SlipwayError('source-unavailable', message)
  }
  await packTogether(mirror.mirrorDir, signal)
  return commit
}

/** Objects that nothing names any more are kept: builds may read them. */
async function packTogether(mirrorDir: string, signal: AbortSignal): Promise<void> {
  const names = await readdir(join(mirrorDir, 'objects', 'pack'))
  if (names.filter((name) => name.endsWith('.pack')).length <= MAX_PACKS) return
  const git = openGit({ directory: mirrorDir, protocols: [] }, signal)
  await git.raw(['repack', '-a', '-d', '-k', '-q'])
}

/** What git says of objects that it cannot read, and of a remote that sent only what should have been missing. */
const DAMAGE =
  /does not match index|bad object|corrupt|inflate|unable to (?:read|find)|necessary objects|is missing|unpack tree/

function saysDamaged(error: unknown): boolean {
  return DAMAGE.test([error, error instanceof Error ? error.cause : null].map(messageOf).join('\n'))
}

/** Whether all of the commit can be read to its last byte. */
async function isSound(mirrorDir: string, commit: CommitSha): Promise<boolean> {
  if (!(await isThere(join(mirrorDir, 'objects', 'pack')))) return false
  const git = openGit({ directory: mirrorDir, protocols: [] }, new AbortController().signal)
  const packs = (await readdir(join(mirrorDir, 'objects', 'pack'))).filter((name) => name.endsWith('.idx'))
  const verify = async () =>
    packs.length === 0 || (await git.raw(['verify-pack', '--', ...packs.map((name) => `objects/pack/${name}`)])) === ''
  return (await isWhole(git, commit)) && (await verify().catch(() => false))
}

/** Whether something is missing of what the mirror has names for, or of the commit. */
async function isBroken(mirrorDir: string, { commit }: SourceRequest, signal: AbortSignal): Promise<boolean> {
  const git = openGit({ directory: mirrorDir, protocols: [] }, signal)
  if (!(await isWhole(git, '--all'))) return true
  return (await readCommit(git, commit)) !== null && !(await isWhole(git, commit))
}

async function isThere(mirrorDir: string): Promise<boolean> {
  return await access(mirrorDir).then(
    () => true,
    () => false,
  )
}

/** False where it was there already. */
async function createMirror(mirrorDir: string, signal: AbortSignal): Promise<boolean> {
  if (await isThere(mirrorDir)) return false
  const fresh = `${mirrorDir}.new`
  await rm(fresh, { recursive: true, force: true })
  await mkdir(fresh, { recursive: true })
  await openGit({ directory: fresh, protocols: [] }, signal).raw(['init', '--bare', '--quiet'])
  await rename(fresh, mirrorDir)
  return true
}
