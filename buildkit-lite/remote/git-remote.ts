import { access, mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { SlipwayError } from '#domain/errors'
import { openUseMarks } from '#host/disk-use'
import { ExecError } from '#host/exec'
import { openSys } from '#host/sys'
import { lockGitMirror } from '../context/git-lock.ts'
import { runGit } from '../context/git-objects.ts'
import { sourcesLock } from '../disk/source-files.ts'
import { fileNameFor, type SharedWork } from '../solver/shared-work.ts'
import { createAddressRules, type RemoteAccess } from './address-rules.ts'
import { type GitRoute, routeTo, toEnvironment } from './git-route.ts'
import { reapMirrors } from './reap-mirrors.ts'

export interface GitRequest {
  url: string
  /** Branch, tag or commit; null is the default branch. */
  ref: string | null
  /** The value of the header, from a secret, for places of http. */
  authorization: string | null
  /** Builds of one scope may use what another one has fetched. */
  scope: string
}

export interface GitTools {
  /** Bare repositories of what was fetched lie below it. */
  stateDir: string
  sharedWork: SharedWork
  access: RemoteAccess
  /** Socket of an agent with the keys for ssh, if there is one. */
  sshAgent: string | null
}

const COMMIT = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/
const MAX_DURATION_MS = 60 * 60_000

export function mirrorsDir(stateDir: string): string {
  return join(stateDir, 'git-sources')
}

/** The commit that a ref stands for now, as the remote says. */
export async function resolveCommit(request: GitRequest, tools: GitTools, signal: AbortSignal): Promise<string> {
  const { ref, url } = request
  if (ref !== null && COMMIT.test(ref)) return ref
  const work = async (signal: AbortSignal): Promise<string> => {
    const wanted = ref === null ? ['HEAD'] : [ref, `${ref}^{}`]
    const { route, git } = await openRoute(request, tools, signal)
    await mkdir(mirrorsDir(tools.stateDir), { recursive: true })
    const { stdout } = await git(mirrorsDir(tools.stateDir), ['ls-remote', '--', route.url, ...wanted])
    const commit = chooseCommit(stdout.toString(), ref)
    if (commit === null)
      throw new SlipwayError('step-failed', `repository ${url} does not contain ref ${ref ?? 'HEAD'}`)
    return commit
  }
  const name = `git ref ${fileNameFor(request.scope, url, request.authorization ?? '', ref ?? '')}`
  return await tools.sharedWork.share(name, work, signal)
}

/** Branches go before tags, and a tag that has an object of its own counts as the commit it is of. */
export function chooseCommit(listed: string, ref: string | null): string | null {
  const commits = new Map(
    listed.split('\n').flatMap((line) => {
      const [id = '', name] = line.split('\t')
      return name === undefined || !COMMIT.test(id) ? [] : [[name, id] as const]
    }),
  )
  if (ref === null) return commits.get('HEAD') ?? null
  const short = ref.replace(/^refs\//, '')
  const names = [
    `refs/${short}^{}`,
    `refs/${short}`,
    `refs/heads/${short}`,
    `refs/tags/${short}^{}`,
    `refs/tags/${short}`,
  ]
  return names.map((name) => commits.get(name)).find((id) => id !== undefined) ?? commits.get(ref) ?? null
}

/** A bare repository that has the commit with its whole tree, without history. */
export async function fetchCommit(
  request: GitRequest & { commit: string },
  tools: GitTools,
  signal: AbortSignal,
): Promise<string> {
  const { url, commit, scope, authorization } = request
  const format = commit.length === 64 ? 'sha256' : 'sha1'
  const mirror = join(mirrorsDir(tools.stateDir), `${fileNameFor(scope, url, authorization ?? '', format)}.git`)
  const work = async (signal: AbortSignal): Promise<string> => {
    // One at a time; the second one may find what the first one brought.
    using _lock = await tools.sharedWork.lock(`git mirror ${mirror}`, signal)
    const marks = await openUseMarks(openSys(), sourcesLock(mirrorsDir(tools.stateDir)))
    // Whoever collects what nobody uses may take an old one until its use is marked.
    do await createMirror(mirror, format, signal)
    while (!(await marks.use(mirror)))
    if (!(await hasCommit(mirror, commit, signal))) await fetchLocked(mirror, request, tools, signal)
    return mirror
  }
  return await tools.sharedWork.share(`git commit ${mirror} ${commit}`, work, signal)
}

/** Other processes may share the directory, and one of them may have brought the commit meanwhile. */
async function fetchLocked(
  mirror: string,
  request: GitRequest & { commit: string },
  tools: GitTools,
  signal: AbortSignal,
): Promise<void> {
  await using _lock = await lockGitMirror(mirror, signal)
  if (await hasCommit(mirror, request.commit, signal)) return
  await fetchInto(mirror, request, tools, signal)
  await reapMirrors(mirrorsDir(tools.stateDir))
}

async function fetchInto(
  mirror: string,
  request: GitRequest & { commit: string },
  tools: GitTools,
  signal: AbortSignal,
): Promise<void> {
  const { commit, ref, url } = request
  const { route, git } = await openRoute(request, tools, signal)
  const options = ['--quiet', '--depth=1', '--no-tags', '--force', '--no-write-fetch-head']
  const fetch = async (wanted: string): Promise<unknown> =>
    await git(mirror, ['fetch', ...options, '--', route.url, `+${wanted}:refs/slipway/${commit}`])
  try {
    await fetch(commit)
  } catch (error) {
    // Some servers give only what has a name.
    if (signal.aborted || ref === null || COMMIT.test(ref)) throw error
    await fetch(ref)
  }
  if (await hasCommit(mirror, commit, signal)) return
  throw new SlipwayError('source-unavailable', `${url} did not give commit ${commit}, which it had a moment ago`)
}

async function createMirror(mirror: string, format: string, signal: AbortSignal): Promise<void> {
  const exists = await access(mirror).then(
    () => true,
    () => false,
  )
  if (exists) return
  const fresh = `${mirror}.new-${process.pid}`
  await rm(fresh, { recursive: true, force: true })
  await mkdir(fresh, { recursive: true })
  await runGit({ gitDir: fresh, args: ['init', '--bare', '--quiet', `--object-format=${format}`], signal })
  // Another process may have been first, which is as good.
  await rename(fresh, mirror).catch(async () => await rm(fresh, { recursive: true, force: true }))
}

async function hasCommit(gitDir: string, commit: string, signal: AbortSignal): Promise<boolean> {
  try {
    await runGit({ gitDir, args: ['cat-file', '-e', `${commit}^{commit}`], signal })
    return true
  } catch (error) {
    if (error instanceof ExecError && !signal.aborted) return false
    throw error
  }
}

/** A checked way to the remote, and a git that goes only there. Credentials travel in the environment. */
async function openRoute(request: GitRequest, tools: GitTools, signal: AbortSignal) {
  const limited = AbortSignal.any([signal, AbortSignal.timeout(MAX_DURATION_MS)])
  const route: GitRoute = await routeTo(request, { rules: createAddressRules(tools.access), ...tools }, limited)
  const env = { ...route.env, ...toEnvironment(route.settings) }
  const git = async (gitDir: string, args: readonly string[]) => {
    try {
      return await runGit({ gitDir, args, env, signal: limited })
    } catch (error) {
      if (signal.aborted) throw signal.reason
      if (!(error instanceof ExecError)) throw error
      throw new SlipwayError('source-unavailable', `${request.url} cannot be fetched: ${saidBy(error)}`, {
        cause: error,
      })
    }
  }
  return { route, git }
}

function saidBy(error: ExecError): string {
  const lines = error.stderr.trim().split('\n').filter(Boolean)
  return (
    lines
      .find((line) => line.startsWith('fatal:'))
      ?.slice('fatal:'.length)
      .trim() ??
    lines.at(-1) ??
    error.message
  )
}
