import { SlipwayError } from '#domain/errors'
import { openSys } from '#host/sys'
import type { BuildContext } from '../context/contract.ts'
import type { BuildRequest, BuildTools, KeyComponent } from '../contract.ts'
import type { CopyOrigin } from '../plan/plan.ts'
import { type InnerPath, toByteString } from './beneath.ts'
import type { Chain } from './chain.ts'
import { createExclusion } from './exclusion.ts'
import { digestFiles } from './file-digests.ts'
import { type Exclusion, type FileTree, treeOfEntries, treeOnDisk, walk } from './file-tree.ts'
import { materialise } from './layer-files.ts'
import { MissingSourceError, type Selected, selectSource } from './select-sources.ts'
import { openSourceFiles, plainFiles, type SourceFiles } from './source-files.ts'

/** Where a step takes files from: a context's list or a stage's file system, on disk only when it has to be. */
export interface Origin {
  kind: 'context' | 'step'
  /** Opens the files on disk until disposed; where there is a choice, at least those that it chooses. */
  open(signal: AbortSignal, choice?: FileChoice): Promise<OpenOrigin>
  /** Why a missing path is missing, in words to add to the message; null where nobody knows. */
  explain(path: string): Promise<string | null>
}

export interface OpenOrigin extends AsyncDisposable {
  rootDir: string
  files: SourceFiles
  tree: FileTree
  /** What is to be said of what was chosen; missing for nothing. */
  remarks?: readonly string[]
}

/** Which files of an origin count. */
export interface FileChoice {
  sources: readonly string[]
  exclude: readonly string[]
  parents: boolean
  /** Whether it matters what the sources themselves are called. */
  countNames: boolean
}

/** The contexts of a build, each listed once. */
export interface ContextTrees {
  contextOf(name: string | null): BuildContext
  treeOf(context: BuildContext, signal: AbortSignal): Promise<FileTree>
}

export function createContextTrees(request: Pick<BuildRequest, 'context' | 'namedContexts'>): ContextTrees {
  const trees = new Map<BuildContext, Promise<FileTree>>()
  return {
    contextOf: (name) => {
      if (name === null) return request.context
      const named = request.namedContexts[name]
      if (named?.kind === 'context') return named.context
      throw new SlipwayError('context-invalid', `Context ${name} was not given, or is an image`)
    },
    treeOf: async (context, signal) => {
      const list = async () => treeOfEntries(await context.entries(signal))
      const tree = trees.get(context) ?? (context.remember ? context.remember('tree', list, signal) : list())
      trees.set(context, tree)
      return await tree
    },
  }
}

export function contextOrigin(trees: ContextTrees, from: Extract<CopyOrigin, { kind: 'context' }>): Origin {
  const context = trees.contextOf(from.name)
  const origin: Origin = {
    kind: 'context',
    open: async (signal, choice) => {
      const tree = await trees.treeOf(context, signal)
      const paths = choice ? await choosePaths(tree, choice, origin) : undefined
      const rootDir = await context.materialise(signal, paths)
      // A directory is its owner's, who may change it while it is read.
      const files = openSourceFiles(rootDir)
      const remarks = context.remarks?.(paths ?? []) ?? []
      return { rootDir, tree, files, remarks, [Symbol.asyncDispose]: async () => files[Symbol.dispose]() }
    },
    explain: async (path) => {
      const rule = await context.hiddenBy(path.replace(/^\//, ''))
      return rule === null ? null : `${rule.file} line ${rule.line} ("${rule.pattern}") hides it`
    },
  }
  return origin
}

/** Everything that a copy of these files reads, relative to the root, parents first. */
async function choosePaths(tree: FileTree, choice: FileChoice, origin: Origin): Promise<string[]> {
  const exclusion = createExclusion(choice.exclude)
  const paths = new Set<InnerPath>()
  for (const { path, parents, entry } of await select({ tree, exclusion }, choice, origin)) {
    for (const parent of parents) paths.add(parent)
    paths.add(path)
    if (entry.kind === 'directory') for (const inner of walk(tree, path, exclusion)) paths.add(inner.path)
  }
  return [...paths].map((path) => path.slice(1))
}

export function stepOrigin(tools: BuildTools, chain: Chain): Origin {
  return {
    kind: 'step',
    open: async (signal) => {
      const view = await tools.snapshots.view(await materialise(tools, chain, signal))
      return {
        rootDir: view.rootDir,
        tree: treeOnDisk(view.rootDir),
        files: plainFiles(view.rootDir),
        [Symbol.asyncDispose]: () => view[Symbol.asyncDispose](),
      }
    },
    explain: async () => null,
  }
}

/** Digests of the chosen files of a context, from its list alone. */
export async function digestContext(
  trees: ContextTrees,
  from: Extract<CopyOrigin, { kind: 'context' }>,
  choice: FileChoice,
  signal: AbortSignal,
): Promise<KeyComponent[]> {
  const context = trees.contextOf(from.name)
  const digest = async (): Promise<KeyComponent[]> => {
    const tree = await trees.treeOf(context, signal)
    const exclusion = createExclusion(choice.exclude)
    const source = { tree, rootDir: null, countOwners: false, exclusion }
    const selected = await select(source, choice, contextOrigin(trees, from))
    return await digestFiles(source, selected, signal)
  }
  if (!context.remember) return await digest()
  return await context.remember(`digests ${JSON.stringify(choice)}`, digest, signal)
}

/** Digests of the chosen files of a stage, which have to be read. */
export async function digestStep(origin: Origin, choice: FileChoice, signal: AbortSignal): Promise<KeyComponent[]> {
  await using opened = await origin.open(signal)
  const exclusion = createExclusion(choice.exclude)
  const source = { tree: opened.tree, rootDir: opened.rootDir, sys: openSys(), countOwners: true, exclusion }
  return await digestFiles(source, await select(source, choice, origin), signal)
}

/** What the sources name, all of them. A missing one says whether the ignore file is why. */
async function select(
  source: { tree: FileTree; exclusion: Exclusion },
  choice: FileChoice,
  origin: Origin,
): Promise<Selected[]> {
  const options = { parents: choice.parents, exclusion: source.exclusion }
  const selected = await explaining(origin, () =>
    choice.sources.flatMap((path) => selectSource(source.tree, toByteString(path), options)),
  )
  return choice.countNames ? selected : selected.map((one) => ({ ...one, name: '' }))
}

/** Runs `work`; a source that it misses is explained by its origin. */
export async function explaining<T>(origin: Origin, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof MissingSourceError)) throw error
    const why = await origin.explain(error.path)
    const hint = why === null ? (error.close === null ? '' : ` (did you mean "${error.close}"?)`) : `: ${why}`
    throw new SlipwayError('context-invalid', error.message + hint, { cause: error })
  }
}
