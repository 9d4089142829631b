import { SlipwayError } from '#domain/errors'
import { openSys } from '#host/sys'
import type { BuildContext } from '../context/contract.ts'
import type { BuildRequest, BuildTools, KeyComponent } from '../contract.ts'
import type { CopyOrigin } from '../plan/plan.ts'
import { toByteString } from './beneath.ts'
import type { Chain } from './chain.ts'
import { createExclusion } from './exclusion.ts'
import { digestFiles } from './file-digests.ts'
import { type Exclusion, type FileTree, treeOfEntries, treeOnDisk } from './file-tree.ts'
import { materialise } from './layer-files.ts'
import { MissingSourceError, type Selected, selectSource } from './select-sources.ts'
import { openSourceFiles, plainFiles, type SourceFiles } from './source-files.ts'

/** Where a step takes files from: a context's list or a stage's file system, on disk only when it has to be. */
export interface Origin {
  kind: 'context' | 'step'
  /** Opens the files on disk until disposed. */
  open(signal: AbortSignal): Promise<OpenOrigin>
  /** Why a missing path is missing, in words to add to the message; null where nobody knows. */
  explain(path: string): Promise<string | null>
}

export interface OpenOrigin extends AsyncDisposable {
  rootDir: string
  files: SourceFiles
  tree: FileTree
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
      const tree = trees.get(context) ?? context.entries(signal).then(treeOfEntries)
      trees.set(context, tree)
      return await tree
    },
  }
}

export function contextOrigin(trees: ContextTrees, from: Extract<CopyOrigin, { kind: 'context' }>): Origin {
  const context = trees.contextOf(from.name)
  return {
    kind: 'context',
    open: async (signal) => {
      const rootDir = await context.materialise(signal)
      const tree = await trees.treeOf(context, signal)
      // A directory is its owner's, who may change it while it is read.
      const files = openSourceFiles(rootDir)
      return { rootDir, tree, files, [Symbol.asyncDispose]: async () => files[Symbol.dispose]() }
    },
    explain: async (path) => {
      const rule = await context.hiddenBy(path.replace(/^\//, ''))
      return rule === null ? null : `${rule.file} line ${rule.line} ("${rule.pattern}") hides it`
    },
  }
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
  const tree = await trees.treeOf(trees.contextOf(from.name), signal)
  const exclusion = createExclusion(choice.exclude)
  const source = { tree, rootDir: null, countOwners: false, exclusion }
  const selected = await select(source, choice, contextOrigin(trees, from))
  return await digestFiles(source, selected, signal)
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
