import { SlipwayError } from '#domain/errors'
import { BadPattern, compileGlob, hasWildcard, matchTokens } from '../context/glob.ts'
import { closestWord } from '../dockerfile/errors.ts'
import { type InnerPath, joinInner, nameOf, parentOf, resolveIn, toText } from './beneath.ts'
import type { FileTree, TreeEntry } from './file-tree.ts'

/** One file or directory that COPY takes. */
export interface Selected {
  /** Where it lies, with links resolved. */
  path: InnerPath
  /** Its name as it was named, which is the name it gets in a directory. */
  name: string
  entry: TreeEntry
  /** With `--parents`: the directories to repeat, as found in the source, outermost first. */
  parents: readonly InnerPath[]
  /** With `--parents` what lies in a directory is selected by itself. */
  keepsParents: boolean
}

/** A path, or all that a pattern matches. What is named is followed, in any part of it. */
export function selectPaths(tree: FileTree, path: InnerPath): readonly Selected[] {
  if (!hasWildcard(path)) return [follow(tree, path, nameOf(path))]
  return expand(tree, path).map((found) => follow(tree, found, nameOf(found)))
}

/** What a missing source says; its origin adds whether an ignore file hides it. */
export class MissingSourceError extends SlipwayError {
  readonly path: string
  /** A name beside it that it may have been meant to be. */
  readonly close: string | null

  constructor(path: InnerPath, tree: FileTree, reason: string | null = danglingLink(path, tree)) {
    super('context-invalid', `"${toText(path)}": not found${reason === null ? '' : `: ${reason}`}`)
    this.path = toText(path)
    this.close = reason === null && path !== '/' ? findClose(tree, path) : null
  }
}

function danglingLink(path: InnerPath, tree: FileTree): string | null {
  const link = tree.lookUp(resolveIn((inner) => tree.lookUp(inner), path, false))?.linkTarget ?? null
  return link === null ? null : `it is a link to "${toText(link)}", which is not there`
}

/** Looked for in the directory that should have it. */
function findClose(tree: FileTree, path: InnerPath): string | null {
  const parent = resolveIn((inner) => tree.lookUp(inner), parentOf(path))
  const name = closestWord(toText(nameOf(path)), tree.names(parent).map(toText))
  return name === null ? null : joinInner(toText(parentOf(path)), name)
}

function follow(tree: FileTree, path: InnerPath, name: string): Selected {
  const real = resolveIn((inner) => tree.lookUp(inner), path)
  const entry = tree.lookUp(real)
  if (!entry) throw new MissingSourceError(path, tree)
  return { path: real, name, entry, parents: [], keepsParents: false }
}

/** Paths that match, component by component. Links are followed up to the first wildcard and none after it. */
function expand(tree: FileTree, pattern: InnerPath): InnerPath[] {
  const components = pattern.slice(1).split('/')
  const wildAt = components.findIndex(hasWildcard)
  const start = findStart(tree, `/${components.slice(0, wildAt).join('/')}`)
  let found = start === null ? [] : [start]
  for (const component of components.slice(wildAt)) {
    found = found.flatMap((directory) => expandComponent(tree, directory, component))
  }
  return found.sort()
}

/** Where the wildcards begin. Nothing matches below a link that leads nowhere; what is not there at all is missing. */
function findStart(tree: FileTree, path: InnerPath): InnerPath | null {
  const lookUp = (inner: InnerPath): TreeEntry | null => tree.lookUp(inner)
  const real = resolveIn(lookUp, path)
  if (real === '/' || tree.lookUp(real)) return real
  if (tree.lookUp(resolveIn(lookUp, path, false))) return null
  throw new MissingSourceError(path, tree)
}

function expandComponent(tree: FileTree, directory: InnerPath, component: string): InnerPath[] {
  if (directory !== '/' && tree.lookUp(directory)?.kind !== 'directory') return []
  if (!hasWildcard(component)) {
    const path = joinInner(directory, component)
    return tree.lookUp(path) ? [path] : []
  }
  const pattern = compile(component)
  return tree
    .names(directory)
    .filter((name) => matchTokens(pattern, toText(name)))
    .map((name) => joinInner(directory, name))
}

/** Characters are matched, not bytes. */
function compile(component: string): ReturnType<typeof compileGlob> {
  try {
    return compileGlob(toText(component))
  } catch (error) {
    if (!(error instanceof BadPattern)) throw error
    throw new SlipwayError('dockerfile-invalid', error.message, { cause: error })
  }
}
