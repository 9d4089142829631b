import type { BuildRequest, BuildTools, KeyComponent } from '../contract.ts'
import type { CopySource } from '../plan/plan.ts'
import { toByteString, toText } from '../solver/beneath.ts'
import { digestFiles } from '../solver/file-digests.ts'
import { type FileTree, NO_EXCLUSION, treeOfEntries } from '../solver/file-tree.ts'
import { INPUT_FILE } from '../solver/miss-reason.ts'
import type { Selected } from '../solver/select-sources.ts'
import type { SourceFiles } from '../solver/source-files.ts'
import { digestOf } from '../solver/step-key.ts'
import type { RemoteAccess } from './address-rules.ts'
import { type Downloaded, download } from './download.ts'
import { resolveGitCommit } from './git-checksum.ts'
import type { GitRequest } from './git-remote.ts'
import { type GitTree, openGitTree } from './git-tree.ts'
import { gitOrigin, httpOrigin, type Origin } from './origin.ts'
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
  /** What provenance says of it, which is known once it was asked for its digests. */
  origin(source: RemoteCopySource, signal: AbortSignal): Promise<Origin>
  /** The files on disk until disposed. */
  open(source: RemoteCopySource, signal: AbortSignal): Promise<OpenRemote>
}

interface OpenRemote extends AsyncDisposable {
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
  return new BuildRemoteSources(request, tools)
}

class BuildRemoteSources implements RemoteSources {
  readonly #request: Request
  readonly #tools: Tools & { access: RemoteAccess; sshAgent: string | null }
  readonly #known = new Map<string, Promise<unknown>>()

  constructor(request: Request, tools: Tools) {
    this.#request = request
    const access = tools.remote ?? { allowPrivate: false }
    this.#tools = { ...tools, access, sshAgent: request.run.sshAgents['default'] ?? null }
  }

  async digests(source: RemoteCopySource, byContent: boolean, signal: AbortSignal): Promise<KeyComponent[]> {
    if (source.kind === 'http') {
      // With a checksum its content is known before it is fetched.
      const digest = source.checksum ?? (await this.#fetchFile(source, signal)).digest
      return fileDigest(source.url, digest)
    }
    if (byContent) return await this.#once(['files', source], () => this.#digestTree(source, signal))
    const { subdirectory, submodules, keepGitDir, url, mtime } = source
    const commit = await this.#commitOf(source, signal)
    const parts = [commit, subdirectory, submodules, keepGitDir, ...(mtime === undefined ? [] : [mtime])]
    return [{ name: `git ${url}`, digest: digestOf(parts) }]
  }

  async origin(source: RemoteCopySource, signal: AbortSignal): Promise<Origin> {
    const { url } = source
    if (source.kind === 'git') return gitOrigin({ url, ref: source.ref, commit: await this.#commitOf(source, signal) })
    return httpOrigin({ url, digest: source.checksum ?? (await this.#fetchFile(source, signal)).digest })
  }

  async open(source: RemoteCopySource, signal: AbortSignal): Promise<OpenRemote> {
    if (source.kind === 'http') return openFile(source.url, await this.#fetchFile(source, signal))
    await using stack = new AsyncDisposableStack()
    const opened = stack.use(await this.#openTree(source, signal))
    const { tree } = opened
    const files = await opened.files(signal)
    const committedAtS = source.mtime === 'commit' ? await opened.committedAtS(signal) : null
    const modifiedAtMs = committedAtS === null ? null : committedAtS * 1000
    const owned = stack.move()
    return {
      tree,
      files,
      selected: rootOf(tree),
      modifiedAtMs,
      [Symbol.asyncDispose]: () => owned.disposeAsync(),
    }
  }

  async #fetchFile({ url, checksum }: HttpSource, signal: AbortSignal): Promise<Downloaded> {
    const { secrets, cacheScope: scope } = this.#request
    const wanted = { url, checksum, authorization: httpAuthorization(secrets, url), scope }
    return await this.#once(['file', url, checksum], () => download(wanted, this.#tools, signal))
  }

  async #commitOf(source: GitCopySource, signal: AbortSignal): Promise<string> {
    const { url, ref, checksum } = source
    const wanted = { ...this.#gitRequest(source), checksum }
    return await this.#once(['commit', url, ref, checksum], () => resolveGitCommit(wanted, this.#tools, signal))
  }

  async #openTree(source: GitCopySource, signal: AbortSignal): Promise<GitTree> {
    const { subdirectory, submodules, keepGitDir } = source
    const commit = await this.#commitOf(source, signal)
    const wanted = { ...this.#gitRequest(source), commit, subdirectory, submodules, keepGitDir }
    return await openGitTree(wanted, this.#tools, signal)
  }

  async #digestTree(source: GitCopySource, signal: AbortSignal): Promise<KeyComponent[]> {
    await using opened = await this.#openTree(source, signal)
    const { tree } = opened
    const from = { tree, rootDir: null, countOwners: false, exclusion: NO_EXCLUSION }
    return await digestFiles(from, [rootOf(tree)], signal)
  }

  #gitRequest({ url, ref }: GitCopySource): GitRequest {
    const { secrets, cacheScope: scope } = this.#request
    return { url, ref, scope, authorization: gitAuthorization(secrets, url) }
  }

  async #once<T>(name: readonly unknown[], work: () => Promise<T>): Promise<T> {
    const key = JSON.stringify(name)
    const found = (this.#known.get(key) as Promise<T> | undefined) ?? work()
    this.#known.set(key, found)
    return await found
  }
}

/** The last part of the path; what has none gets a name that says so. */
function fileNameOf(url: string): string {
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
