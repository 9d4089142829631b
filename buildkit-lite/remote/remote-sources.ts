import type { BuildRequest, BuildTools, KeyComponent } from '../contract.ts'
import type { CopySource } from '../plan/plan.ts'
import { toByteString, toText } from '../solver/beneath.ts'
import { digestFiles } from '../solver/file-digests.ts'
import { type FileTree, NO_EXCLUSION, treeOfEntries } from '../solver/file-tree.ts'
import { INPUT_FILE } from '../solver/miss-reason.ts'
import type { Selected } from '../solver/select-sources.ts'
import type { SourceFiles } from '../solver/source-files.ts'
import { digestOf } from '../solver/step-key.ts'
import { type Downloaded, download } from './download.ts'
import { resolveGitCommit } from './git-checksum.ts'
import type { GitTools } from './git-remote.ts'
import { openGitTree } from './git-tree.ts'
import { gitAuthorization, httpAuthorization } from './remote-secrets.ts'

export type RemoteCopySource = Extract<CopySource, { kind: 'http' | 'git' }>
type HttpSource = Extract<CopySource, { kind: 'http' }>
type GitCopySource = Extract<CopySource, { kind: 'git' }>

/** What ADD takes from elsewhere. One build asks for each of them once. */
export interface RemoteSources {
  /**
   * What a key counts of it: of a file its name and content, of a repository the commit, or `byContent` the files of it,
   * which have to be fetched for that.
   */
  digests(source: RemoteCopySource, byContent: boolean, signal: AbortSignal): Promise<KeyComponent[]>
  /** The files on disk until disposed. */
  open(source: RemoteCopySource, signal: AbortSignal): Promise<OpenRemote>
}

export interface OpenRemote extends AsyncDisposable {
  tree: FileTree
  files: SourceFiles
  /** What is to be copied: a file, or the root of the tree. */
  selected: Selected
  /** Of everything in it; null where the files have times of their own. */
  modifiedAtMs: number | null
}

type Tools = Pick<BuildTools, 'stateDir' | 'sharedWork' | 'remote'>
type Request = Pick<BuildRequest, 'cacheScope' | 'secrets' | 'run'>

const FILE_MODE = 0o600

export function createRemoteSources(request: Request, tools: Tools): RemoteSources {
  const known = new Map<string, Promise<unknown>>()
  const once = async <T>(name: unknown, work: () => Promise<T>): Promise<T> => {
    const key = JSON.stringify(name)
    const found = (known.get(key) as Promise<T> | undefined) ?? work()
    known.set(key, found)
    return await found
  }
  const access = tools.remote ?? { allowPrivate: false }
  const { cacheScope: scope, secrets } = request
  const fetchFile = async ({ url, checksum }: HttpSource, signal: AbortSignal): Promise<Downloaded> => {
    const authorization = httpAuthorization(secrets, url)
    return await download({ url, checksum, authorization, scope }, { ...tools, access }, signal)
  }
  const gitTools: GitTools = { ...tools, access, sshAgent: request.run.sshAgents['default'] ?? null }
  const gitRequest = ({ url, ref }: GitCopySource) => ({
    url,
    ref,
    scope,
    authorization: gitAuthorization(secrets, url),
  })
  const commitOf = async (source: GitCopySource, signal: AbortSignal): Promise<string> =>
    await once(['commit', source.url, source.ref, source.checksum], () =>
      resolveGitCommit({ ...gitRequest(source), checksum: source.checksum }, gitTools, signal),
    )
  const openTree = async (source: GitCopySource, signal: AbortSignal) => {
    const { subdirectory, submodules, keepGitDir } = source
    const commit = await commitOf(source, signal)
    return await openGitTree({ ...gitRequest(source), commit, subdirectory, submodules, keepGitDir }, gitTools, signal)
  }
  const digestTree = async (source: GitCopySource, signal: AbortSignal): Promise<KeyComponent[]> => {
    await using opened = await openTree(source, signal)
    const { tree } = opened
    const from = { tree, rootDir: null, countOwners: false, exclusion: NO_EXCLUSION }
    return await digestFiles(from, [rootOf(tree)], signal)
  }
  return {
    digests: async (source, byContent, signal) => {
      // Its content is known before it is fetched.
      if (source.kind === 'http' && source.checksum !== null) return fileDigest(source.url, source.checksum)
      if (source.kind === 'http')
        return fileDigest(source.url, (await once(source, () => fetchFile(source, signal))).digest)
      if (byContent) return await once(['files', source], () => digestTree(source, signal))
      const { subdirectory, submodules, keepGitDir } = source
      const commit = await commitOf(source, signal)
      return [{ name: `git ${source.url}`, digest: digestOf([commit, subdirectory, submodules, keepGitDir]) }]
    },
    open: async (source, signal) => {
      if (source.kind === 'http') return openFile(source.url, await once(source, () => fetchFile(source, signal)))
      const opened = await openTree(source, signal)
      const { tree } = opened
      const files = await opened.files(signal)
      const selected = rootOf(tree)
      return { tree, files, selected, modifiedAtMs: null, [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose]() }
    },
  }
}

/** The last part of the path; what has none gets a name that says so. */
export function fileNameOf(url: string): string {
  const parts = new URL(url).pathname.split('/').filter(Boolean)
  const last = parts.at(-1)
  if (last === undefined) return '__unnamed__'
  try {
    return decodeURIComponent(last).replaceAll(/[/\0]/g, '_') || '__unnamed__'
  } catch {
    return last
  }
}

function fileDigest(url: string, digest: string): KeyComponent[] {
  const name = fileNameOf(url)
  return [{ name: INPUT_FILE + name, digest: digestOf([name, 'file', FILE_MODE, digest]) }]
}

function openFile(url: string, { path, digest, sizeBytes, modifiedAtMs }: Downloaded): OpenRemote {
  const name = toByteString(fileNameOf(url))
  const entry = { path: name, kind: 'file' as const, mode: FILE_MODE, contentId: digest, linkTarget: null, sizeBytes }
  const tree = treeOfEntries([entry])
  const found = tree.lookUp(`/${name}`)
  if (!found) throw new Error(`"${toText(name)}" cannot be the name of a file`)
  return {
    tree,
    files: { at: () => Buffer.from(path) },
    selected: { path: `/${name}`, name, entry: found, parents: [], keepsParents: false },
    modifiedAtMs,
    [Symbol.asyncDispose]: async () => {},
  }
}

function rootOf(tree: FileTree): Selected {
  const entry = tree.lookUp('/')
  if (!entry) throw new Error('A tree has no root')
  return { path: '/', name: '', entry, parents: [], keepsParents: false }
}
