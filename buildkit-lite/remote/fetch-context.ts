import { createReadStream } from 'node:fs'
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { SlipwayError } from '#domain/errors'
import type { BuildContext } from '../context/contract.ts'
import { openDirectoryContext } from '../context/directory-context.ts'
import { type GitContextOptions, openGitContext } from '../context/git-context.ts'
import { checkObjects } from '../context/git-objects.ts'
import type { GitSource } from '../context/git-url.ts'
import { openTarContext } from '../context/tar-context.ts'
import { cleanPath, onDisk } from '../solver/beneath.ts'
import { download } from './download.ts'
import { resolveGitCommit } from './git-checksum.ts'
import { fetchCommit, type GitTools } from './git-remote.ts'
import { addSubmodules } from './git-tree.ts'
import { makeGitDir } from './make-git-dir.ts'
import { gitOrigin, httpOrigin } from './origin.ts'
import { gitAuthorization, httpAuthorization } from './remote-secrets.ts'

export interface FetchOptions {
  /** Files are written below it, and removed with the context. */
  workDir: string
  tools: GitTools
  /** With `GIT_AUTH_TOKEN` and the like for places that ask who comes. */
  secrets: Readonly<Record<string, Buffer>>
  /** Path of the Dockerfile in the context. */
  dockerfile?: string
  /** What a downloaded file is called that is no archive, if it is not the Dockerfile. */
  fileName?: string
  /** Keeps `.git`, whatever the address says. */
  keepGitDir?: boolean
}

/** What was fetched for contexts is for those who start builds, whatever they build. */
const SCOPE = 'contexts'

/** One commit of a repository as a context, without history and with its submodules. */
export async function fetchGitContext(
  source: GitSource,
  options: FetchOptions,
  signal: AbortSignal,
): Promise<BuildContext> {
  const { url, ref, subdirectory, checksum } = source
  const { tools, secrets } = options
  const asked = { url, ref, checksum, scope: SCOPE, authorization: gitAuthorization(secrets, url) }
  return await asContext(async () => {
    const commit = await resolveGitCommit(asked, tools, signal)
    const gitDir = await fetchCommit({ ...asked, commit }, tools, signal)
    const keepGitDir = (options.keepGitDir || source.keepGitDir) ?? false
    const request = { ...asked, commit, subdirectory, keepGitDir, submodules: source.submodules ?? true }
    const parts: Part[] = []
    const add = async (part: Part): Promise<void> => {
      parts.push(part)
    }
    if (request.submodules) await addSubmodules(request, { gitDir, tools, add }, signal)
    const dockerfile = options.dockerfile === undefined ? {} : { dockerfile: options.dockerfile }
    const place = { gitDir, commit, subdirectory, checkoutRoot: options.workDir, ...dockerfile }
    const isPlain = parts.length === 0 && !keepGitDir
    const context = isPlain
      ? await openGitContext(place, signal)
      : await openWhole(place, { parts, url: keepGitDir ? url : undefined }, signal)
    return Object.assign(context, { origin: gitOrigin({ url, ref, commit }) })
  })
}

/** A tree of a bare repository with a `.git` of its own, where it is the whole tree. It is checked out at once. */
export async function openCheckedOutContext(options: GitContextOptions, signal: AbortSignal): Promise<BuildContext> {
  return await openWhole(options, { parts: [], url: null }, signal)
}

/** Where the repository of a commit came from, for the submodules of it. */
interface PushedFrom {
  /** Null where it was pushed to us, so that nothing tells where its neighbours are. */
  url: string | null
  /** The value of the header for places of http on the same host. */
  authorization: string | null
  /** Builds of one scope may use what another one has fetched. */
  scope: string
  /** For submodules on other hosts, which a push may name as it likes. */
  tools: GitTools
}

/** A commit that is here already, with its submodules, which are fetched. */
export async function openPushedContext(
  place: GitContextOptions & { keepGitDir: boolean },
  from: PushedFrom,
  signal: AbortSignal,
): Promise<BuildContext> {
  const { keepGitDir, ...options } = place
  const { shared: _, ...own } = options
  const parts = await asContext(() => fetchSubmodules(place, from, signal))
  if (parts.length > 0) return await openWhole(own, { parts, url: keepGitDir ? null : undefined }, signal)
  return keepGitDir ? await openCheckedOutContext(own, signal) : await openGitContext(options, signal)
}

async function fetchSubmodules(
  { gitDir, commit, subdirectory }: GitContextOptions,
  { url, authorization, scope, tools }: PushedFrom,
  signal: AbortSignal,
): Promise<Part[]> {
  const [modules] = await checkObjects(gitDir, [`${commit}:.gitmodules`], signal)
  if (modules?.type !== 'blob') return []
  const parts: Part[] = []
  const add = async (part: Part): Promise<void> => {
    parts.push(part)
  }
  const asked = { url: url ?? PUSHED, ref: null, authorization, scope, commit, subdirectory }
  const homeTools = url === null ? tools : { ...tools, access: { allowPrivate: true } }
  const request = { ...asked, submodules: true, keepGitDir: false }
  await addSubmodules(request, { gitDir, tools, homeTools, add }, signal)
  return parts
}

/** What a submodule's address is relative to where the repository has none itself; it is of no kind that is fetched. */
const PUSHED = 'pushed:///'

interface Part {
  /** Where it stands in the whole, latin1-exact. */
  prefix: string
  gitDir: string
  commit: string
  subdirectory: string
}

interface Whole {
  parts: readonly Part[]
  /** What `origin` is of the `.git` that is made; undefined makes none. */
  url: string | null | undefined
}

/** All parts in one directory, which is then as good as any other. */
async function openWhole(place: GitContextOptions, { parts, url }: Whole, signal: AbortSignal): Promise<BuildContext> {
  const { gitDir, commit, subdirectory, checkoutRoot, dockerfile } = place
  await using context = await openGitContext(place, signal)
  await mkdir(checkoutRoot, { recursive: true })
  const parent = await mkdtemp(join(checkoutRoot, 'slip-tree-'))
  const dispose = () => rm(parent, { recursive: true, force: true })
  try {
    const root = join(parent, 'files')
    await rename(await context.materialise(signal), root)
    for (const { prefix, ...inner } of parts) {
      await using part = await openGitContext({ ...inner, checkoutRoot, applyIgnoreFile: false }, signal)
      const target = onDisk(root, cleanPath(prefix))
      await rm(target, { recursive: true, force: true })
      await rename(await part.materialise(signal), target)
    }
    if (url !== undefined && cleanPath(subdirectory) === '/')
      await makeGitDir({ directory: join(root, '.git'), mirror: gitDir, commit, url }, signal)
    const named = dockerfile === undefined ? {} : { dockerfile }
    return await openDirectoryContext(root, { dispose, timestamp: context.timestamp ?? null, ...named })
  } catch (error) {
    await dispose()
    throw error
  }
}

/** What a URL leads to as a context: an archive's files, or a file that is the Dockerfile itself. */
export async function fetchUrlContext(url: string, options: FetchOptions, signal: AbortSignal): Promise<BuildContext> {
  const { workDir: directory, tools, secrets, dockerfile, fileName } = options
  const asked = { url, checksum: null, authorization: httpAuthorization(secrets, url), scope: SCOPE }
  return await asContext(async () => {
    const { path, modifiedAtMs, digest } = await download(asked, tools, signal)
    const timestamp = modifiedAtMs === 0 ? {} : { timestamp: Math.floor(modifiedAtMs / 1000) }
    const named = {
      ...(dockerfile === undefined ? {} : { dockerfile }),
      ...(fileName === undefined ? {} : { fileName }),
    }
    const context = await openTarContext(createReadStream(path), { directory, ...timestamp, ...named }, signal)
    return Object.assign(context, { origin: httpOrigin({ url, digest }) })
  })
}

/** No step is to blame for a context. */
async function asContext<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof SlipwayError) || error.kind !== 'step-failed') throw error
    throw new SlipwayError('source-unavailable', error.message, { cause: error })
  }
}
