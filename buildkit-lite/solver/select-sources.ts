import { SlipwayError } from '#domain/errors'
import { BadPattern, compileGlob, hasWildcard, matchTokens } from '../context/glob.ts'
import { cleanPath, type InnerPath, joinInner, nameOf, parentOf, resolveIn, toText } from './beneath.ts'
import type { Exclusion, FileTree, TreeEntry } from './file-tree.ts'

/** One file or directory that COPY takes. */
export interface Selected {
  /** Where it lies, with links resolved. */
  path: InnerPath
  /** Its name as it was named, which is the name it gets in a directory. */
  name: string
  entry: TreeEntry
  /** With `--parents`: the directories to repeat, as found in the source, outermost first. */
  parents: readonly InnerPath[]
  keepsParents: boolean
}

export interface SelectOptions {
  parents: boolean
  exclusion: Exclusion
}

/** Finds what one source of a COPY names. A literal path that is not there fails with kind `context-invalid`. */
export function selectSource(tree: FileTree, source: string, options: SelectOptions): readonly Selected[] {
  if (options.parents) return selectWithParents(tree, source, options.exclusion)
  const path = cleanPath(source)
  if (!hasWildcard(path)) return [follow(tree, path, nameOf(path))]
  return expand(tree, path).map((found) => follow(tree, found, nameOf(found)))
}

/** What a missing source says; `build` adds whether .dockerignore hides it. */
export class MissingSourceError extends SlipwayError {
  readonly path: string

  constructor(path: InnerPath) {
    super('context-invalid', `"${toText(path)}": not found`)
    this.path = toText(path)
  }
}

function follow(tree: FileTree, path: InnerPath, name: string): Selected {
  const real = resolveIn((inner) => tree.lookUp(inner), path)
  const entry = tree.lookUp(real)
  if (!entry) throw new MissingSourceError(path)
  return { path: real, name, entry, parents: [], keepsParents: false }
}

/** Paths that match, component by component; `**` is any number of directories. */
function expand(tree: FileTree, pattern: InnerPath): InnerPath[] {
  let found: InnerPath[] = ['/']
  for (const component of pattern.slice(1).split('/')) {
    const next = new Set<InnerPath>()
    for (const directory of found) {
      for (const path of expandComponent(tree, directory, component)) next.add(path)
    }
    found = [...next]
  }
  return found.filter((path) => path !== '/').sort()
}

function expandComponent(tree: FileTree, directory: InnerPath, component: string): InnerPath[] {
  if (component === '**') return [directory, ...directoriesBelow(tree, directory)]
  if (!hasWildcard(component)) {
    const path = resolveIn((inner) => tree.lookUp(inner), joinInner(directory, component), false)
    const entry = tree.lookUp(path)
    return entry ? [entry.kind === 'symlink' ? joinInner(directory, component) : path] : []
  }
  const pattern = compile(component)
  const real = resolveIn((inner) => tree.lookUp(inner), directory)
  return tree
    .names(real)
    .filter((name) => matchTokens(pattern, name))
    .map((name) => joinInner(directory, name))
}

function compile(component: string): ReturnType<typeof compileGlob> {
  try {
    return compileGlob(component)
  } catch (error) {
    if (!(error instanceof BadPattern)) throw error
    throw new SlipwayError('dockerfile-invalid', toText(error.message), { cause: error })
  }
}

function directoriesBelow(tree: FileTree, directory: InnerPath): InnerPath[] {
  return tree.names(directory).flatMap((name) => {
    const path = joinInner(directory, name)
    return tree.lookUp(path)?.kind === 'directory' ? [path, ...directoriesBelow(tree, path)] : []
  })
}

/** `--parents`: what stands before `/./` is where the kept path starts; directories on the way are never followed. */
function selectWithParents(tree: FileTree, source: string, exclusion: Exclusion): readonly Selected[] {
  const pivot = source.lastIndexOf('/./')
  const base = cleanPath(pivot < 0 ? '' : source.slice(0, pivot))
  const path = cleanPath(source)
  const wild = hasWildcard(path)
  const found = wild ? expand(tree, path) : [path]
  if (!wild && (path === '/' || !tree.lookUp(path))) throw new MissingSourceError(path)
  return found.flatMap((match): Selected[] => {
    const entry = tree.lookUp(match)
    if (!entry || exclusion.isExcluded(match.slice(1), match)) return []
    return [{ path: match, name: nameOf(match), entry, parents: parentsBetween(base, match), keepsParents: true }]
  })
}

function parentsBetween(base: InnerPath, path: InnerPath): InnerPath[] {
  const depth = base === '/' ? 0 : base.split('/').length - 1
  const parents: InnerPath[] = []
  for (let at = parentOf(path); at !== '/'; at = parentOf(at)) parents.unshift(at)
  return parents.slice(depth)
}
