import { hasWildcard } from '../context/glob.ts'
import { cleanPath, type InnerPath, joinInner, nameOf, parentOf, toText } from './beneath.ts'
import { compilePatterns } from './exclusion.ts'
import { type Exclusion, type FileTree, walk } from './file-tree.ts'
import { MissingSourceError, type Selected, selectPaths } from './select-paths.ts'

/**
 * `--parents`: everything that a pattern as of .dockerignore matches, with its directories. What stands before the
 * first `/./` is where the kept paths start; no link on the way from there is followed.
 */
export function selectWithParents(tree: FileTree, source: string, exclusion: Exclusion): readonly Selected[] {
  const pivot = source.indexOf('/./')
  const pattern = cleanPath(pivot < 0 ? source : source.slice(pivot + 2))
  const before = pivot < 0 ? '/' : cleanPath(source.slice(0, pivot))
  // What a pattern matches on the way need not have the rest.
  const isRequired = !hasWildcard(before) && !hasWildcard(pattern)
  const bases = selectPaths(tree, before).map(({ path }) => path)
  return bases.flatMap((base) => {
    const selected = selectBelow(tree, base, pattern, exclusion)
    if (selected === null && isRequired) throw missing(tree, joinInner(base, pattern.slice(1)))
    return selected ?? []
  })
}

/** Says of a file that is there after all which link hides it. */
function missing(tree: FileTree, path: InnerPath): MissingSourceError {
  const link = [...parentsBetween('/', path), path].find((at) => tree.lookUp(at)?.kind === 'symlink')
  const why = link === undefined ? null : `"${toText(link)}" is a link, and --parents follows none`
  return new MissingSourceError(path, tree, why)
}

/** Null where nothing has the name that stands before any pattern. */
function selectBelow(tree: FileTree, base: InnerPath, pattern: InnerPath, exclusion: Exclusion): Selected[] | null {
  // The walk starts where the pattern stops being plain text.
  const components = pattern.slice(1).split('/')
  const wildAt = components.findIndex(hasWildcard)
  const literal = wildAt < 0 ? components : components.slice(0, wildAt)
  const start = literal.reduce(joinInner, base)
  const entry = pattern === '/' ? null : tree.lookUp(start)
  if (entry === null && literal.length > 0) return null
  const matcher = compilePatterns([toText(pattern.slice(1))])
  const prefix = start.slice(base === '/' ? 1 : base.length + 1)
  const relativeOf = (relative: string): string => (prefix === '' ? relative : `${prefix}/${relative}`)
  const shifted = {
    ...exclusion,
    isExcluded: (rel: string, path: InnerPath) => exclusion.isExcluded(relativeOf(rel), path),
  }
  const selected: Selected[] = []
  if (wildAt < 0 && entry && !exclusion.isExcluded(prefix, start)) selected.push(select(start, entry, base))
  for (const found of walk(tree, start, shifted)) {
    if (matcher.ignores(relativeOf(found.relative))) selected.push(select(found.path, found.entry, base))
  }
  return selected
}

function select(path: InnerPath, entry: Selected['entry'], base: InnerPath): Selected {
  return { path, name: nameOf(path), entry, parents: parentsBetween(base, path), keepsParents: true }
}

function parentsBetween(base: InnerPath, path: InnerPath): InnerPath[] {
  const parents: InnerPath[] = []
  for (let at = parentOf(path); at !== base && at !== '/'; at = parentOf(at)) parents.unshift(at)
  return parents
}
