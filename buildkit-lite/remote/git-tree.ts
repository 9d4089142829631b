import { join } from 'node:path'
import { SlipwayError } from '#domain/errors'
import { openSys } from '#host/sys'
import type { BuildContext, ContextEntry } from '../context/contract.ts'
import { openGitContext } from '../context/git-context.ts'
import { readCommitTime } from '../context/git-objects.ts'
import { cleanPath, type InnerPath, onDisk, toByteString } from '../solver/beneath.ts'
import { type FileTree, joinTrees, treeOfEntries, treeOnDisk } from '../solver/file-tree.ts'
import { openScratch } from '../solver/scratch.ts'
import type { SourceFiles } from '../solver/source-files.ts'
import { fetchCommit, type GitRequest, type GitTools } from './git-remote.ts'
import { listSubmodules } from './git-submodules.ts'
import { makeGitDir } from './make-git-dir.ts'

/** A directory of one commit, with its submodules. */
export interface GitTree extends AsyncDisposable {
  tree: FileTree
  /** Checks out what is not checked out yet. */
  files(signal: AbortSignal): Promise<SourceFiles>
  /** Null where the commit does not say it. */
  committedAtS(signal: AbortSignal): Promise<number | null>
}

export interface GitTreeRequest extends GitRequest {
  commit: string
  subdirectory: string
  submodules: boolean
  keepGitDir: boolean
}

/** A part of the tree that is a repository of its own. */
interface Part {
  /** Where it stands in the whole; empty for the repository itself. */
  prefix: string
  entries: readonly ContextEntry[]
  context: BuildContext
}

const MAX_SUBMODULES = 500
const MAX_DEPTH = 10

/** Fetches a commit and, if asked, the submodules below it. Files are written only when they are needed. */
export async function openGitTree(request: GitTreeRequest, tools: GitTools, signal: AbortSignal): Promise<GitTree> {
  await using stack = new AsyncDisposableStack()
  const checkoutRoot = stack.use(await openScratch(openSys(), tools.stateDir)).dir
  const gitDir = await fetchCommit(request, tools, signal)
  const parts: Part[] = []
  const add = async (part: { prefix: string; gitDir: string; commit: string; subdirectory: string }): Promise<void> => {
    const { prefix, ...place } = part
    const context = stack.use(await openGitContext({ ...place, checkoutRoot, applyIgnoreFile: false }, signal))
    parts.push({ prefix, context, entries: await context.entries(signal) })
  }
  await add({ prefix: '', gitDir, commit: request.commit, subdirectory: request.subdirectory })
  if (request.submodules) await addSubmodules(request, { gitDir, tools, add }, signal)
  const ownDir = request.keepGitDir && cleanPath(request.subdirectory) === '/' ? join(checkoutRoot, 'slip-git') : null
  if (ownDir !== null) await makeGitDir({ directory: ownDir, mirror: gitDir, ...request }, signal)
  const disposer = stack.move()
  return {
    tree: treeOf(parts, ownDir),
    files: async (signal) => await filesOf(parts, ownDir, signal),
    committedAtS: async (signal) => await readCommitTime({ gitDir, commit: request.commit, subdirectory: '/' }, signal),
    [Symbol.asyncDispose]: () => disposer.disposeAsync(),
  }
}

interface Above {
  gitDir: string
  commit: string
  url: string
  /** Of the whole tree before a subdirectory is taken. */
  prefix: string
  depth: number
  /** Whether all repositories above it are on the host of the first one. */
  isTrusted: boolean
}

/** Hands over each submodule of a commit, and of those, below the subdirectory; parents come first. */
export async function addSubmodules(
  request: GitTreeRequest,
  {
    gitDir,
    tools,
    homeTools,
    add,
  }: {
    gitDir: string
    tools: GitTools
    /** For submodules on the host of the repository itself; `tools` if not given. */
    homeTools?: GitTools
    add: (part: { prefix: string; gitDir: string; commit: string; subdirectory: string }) => Promise<void>
  },
  signal: AbortSignal,
): Promise<void> {
  const wanted = cleanPath(toByteString(request.subdirectory))
  const top = { gitDir, commit: request.commit, url: request.url }
  const open: Above[] = [{ ...top, prefix: '', depth: 0, isTrusted: true }]
  let count = 0
  for (let above = open.pop(); above !== undefined; above = open.pop()) {
    const { depth, prefix, isTrusted } = above
    const listed = await listSubmodules(above, signal)
    const inside = listed.filter(({ path }) => wanted === '/' || `${prefix}/${path}`.startsWith(`${wanted}/`))
    count += inside.length
    if (count > MAX_SUBMODULES || (inside.length > 0 && depth >= MAX_DEPTH))
      throw new SlipwayError(
        'step-failed',
        `${request.url} has more than ${MAX_SUBMODULES} submodules, or more than ${MAX_DEPTH} in one another`,
      )
    for (const one of inside) {
      const place = `${prefix}/${one.path}`
      // What is for the one host is for no other, and not for those that another one names either.
      const isHome = isTrusted && hostOf(one.url) === hostOf(request.url)
      const own = { url: one.url, ref: null, scope: request.scope, commit: one.commit }
      const inner = await fetchCommit(
        { ...own, authorization: isHome ? request.authorization : null },
        isHome ? (homeTools ?? tools) : tools,
        signal,
      )
      await add({
        prefix: wanted === '/' ? place : place.slice(wanted.length),
        gitDir: inner,
        commit: one.commit,
        subdirectory: '/',
      })
      const from = { gitDir: inner, commit: one.commit, url: one.url }
      open.push({ ...from, prefix: place, depth: depth + 1, isTrusted: isHome })
    }
  }
}

/** Protocol, name and port, for which credentials are; every path of ssh is one of a host. */
function hostOf(url: string): string {
  const scp = /^[^@/]+@([^:/]+):/.exec(url)
  if (scp) return `ssh://${scp[1]}`
  const { protocol = '', host = '' } = URL.parse(url) ?? {}
  return protocol === '' ? url : `${protocol}//${host}`
}

function treeOf(parts: readonly Part[], ownDir: string | null): FileTree {
  const entries = parts.flatMap(({ prefix, entries }) =>
    entries.map((entry) => ({ ...entry, path: `${prefix}/${entry.path}` })),
  )
  const tree = treeOfEntries(entries)
  return ownDir === null ? tree : joinTrees(tree, '.git', treeOnDisk(ownDir))
}

async function filesOf(parts: readonly Part[], ownDir: string | null, signal: AbortSignal): Promise<SourceFiles> {
  const roots: { prefix: string; root: string }[] = ownDir === null ? [] : [{ prefix: '/.git', root: ownDir }]
  for (const { prefix, context } of parts) roots.push({ prefix, root: await context.materialise(signal) })
  roots.sort((a, b) => b.prefix.length - a.prefix.length)
  const find = (path: InnerPath) => roots.find(({ prefix }) => path === prefix || path.startsWith(`${prefix}/`))
  return {
    at: (path) => {
      const found = find(path)
      if (!found) throw new SlipwayError('internal', `No repository has ${path}`)
      return onDisk(found.root, path.slice(found.prefix.length) || '/')
    },
  }
}
