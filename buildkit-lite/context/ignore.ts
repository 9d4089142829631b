import { posix } from 'node:path'
import { BadPattern, compileGlob, createMatcher } from './glob.ts'
import { toText } from './path-bytes.ts'

/** A path to judge, relative to the root; latin1-exact. */
interface IgnorePath {
  path: string
  directory: boolean
}

/** What matched each pattern of a directory: its children inherit it. */
type Verdict = { matched: readonly boolean[]; ignored: boolean; by: number | null }

interface IgnorePattern {
  /** Which of the lines it is. */
  index: number
  negated: boolean
  /** Cleaned, without `!`. */
  text: string
  /** Longest start without wildcards, to see whether a pattern can match below a directory at all. */
  literal: string
  matches: (path: string) => boolean
}

/**
 * The patterns of a `.dockerignore`. Later patterns override earlier ones, `!` takes back, and what matches a
 * directory matches all that is in it.
 * https://docs.docker.com/build/concepts/context/#dockerignore-files
 */
export interface IgnoreMatcher {
  /** Whether one path is ignored, by itself or through a directory above it. */
  ignores(path: string): boolean
  /** Index of the line that decides that a path is ignored; null where it is not. */
  decidedBy(path: string): number | null
  /** For each of the paths, in an order with parents first, whether it stays; parents of what stays do, too. */
  filter(paths: readonly IgnorePath[]): boolean[]
  /** Whether nothing below an ignored directory can be taken back, so that it need not be read. */
  prunes(directory: string): boolean
  /** Whether a pattern takes back what others ignore. */
  hasExceptions: boolean
  /** Whether a pattern ignores everything at the root. */
  hidesAll: boolean
}

/** A pattern with its line in the file, from 1. */
export interface IgnoreLine {
  line: number
  pattern: string
}

/** The lines of an ignore file as patterns: without comments and blanks. */
export function parseIgnoreFile(text: string): IgnoreLine[] {
  const lines = text.replace(/^\uFEFF/, '').split('\n')
  return lines.flatMap((written, index) => {
    const pattern = written.trim()
    return written.startsWith('#') || pattern === '' ? [] : [{ line: index + 1, pattern }]
  })
}

/** Compiles patterns; a wrong one is a `BadPattern`. */
export function compileIgnore(lines: readonly string[]): IgnoreMatcher {
  const patterns = lines.map(compilePattern).filter((pattern) => pattern !== null)
  const root: Verdict = { matched: patterns.map(() => false), ignored: false, by: null }
  const judge = (path: string, parent: Verdict): Verdict => judgePath(patterns, toText(path), parent)
  const judgeWhole = (path: string): Verdict => {
    let verdict = root
    for (let at = path.indexOf('/'); ; at = path.indexOf('/', at + 1)) {
      verdict = judge(at < 0 ? path : path.slice(0, at), verdict)
      if (at < 0) return verdict
    }
  }
  return {
    ignores: (path) => judgeWhole(path).ignored,
    decidedBy: (path) => judgeWhole(path).by,
    filter: (paths) => filterPaths(paths, root, judge),
    prunes: (directory) => !patterns.some((pattern) => pattern.negated && mayMatchBelow(pattern, toText(directory))),
    hasExceptions: patterns.some(({ negated }) => negated),
    hidesAll: patterns.some(({ negated, text }) => !negated && ['*', '**', '**/*'].includes(text)),
  }
}

function mayMatchBelow(pattern: IgnorePattern, directory: string): boolean {
  const below = `${directory}/`
  return pattern.literal.startsWith(below) || below.startsWith(pattern.literal)
}

function judgePath(patterns: readonly IgnorePattern[], path: string, parent: Verdict): Verdict {
  let ignored = false
  let by: number | null = null
  const decide = (pattern: IgnorePattern): void => {
    ignored = !pattern.negated
    by = ignored ? pattern.index : null
  }
  const matched = patterns.map((pattern, index) => {
    if (parent.matched[index]) {
      decide(pattern)
      return true
    }
    // A pattern is asked only where it could change the verdict; this also decides what children inherit.
    if (pattern.negated !== ignored || !pattern.matches(path)) return false
    decide(pattern)
    return true
  })
  return { matched, ignored, by }
}

function filterPaths(
  paths: readonly IgnorePath[],
  root: Verdict,
  judge: (path: string, parent: Verdict) => Verdict,
): boolean[] {
  const directories = new Map<string, { verdict: Verdict; index: number }>()
  const kept = paths.map(() => false)
  const keepParents = (path: string): void => {
    const parent = directories.get(posix.dirname(path))
    if (!parent || kept[parent.index]) return
    kept[parent.index] = true
    keepParents(posix.dirname(path))
  }
  paths.forEach(({ path, directory }, index) => {
    const verdict = judge(path, directories.get(posix.dirname(path))?.verdict ?? root)
    if (directory) directories.set(path, { verdict, index })
    if (verdict.ignored) return
    kept[index] = true
    keepParents(path)
  })
  return kept
}

function compilePattern(line: string, index: number): IgnorePattern | null {
  const negated = line.startsWith('!')
  const written = (negated ? line.slice(1) : line).trim()
  if (written === '') {
    if (negated) throw new BadPattern('illegal exclusion pattern: "!"')
    return null
  }
  const clean = posix.normalize(written).replace(/(?<=.)\/+$/, '')
  // The root leaves nothing of the pattern but its mark.
  if (negated && clean === '/') throw new BadPattern('illegal exclusion pattern: "!"')
  const pattern = clean.length > 1 && clean.startsWith('/') ? clean.slice(1) : clean
  const literal = /^[^*?[\\]*/.exec(pattern)?.[0] ?? ''
  return { index, negated, text: pattern, literal, matches: compileMatch(pattern) }
}

function compileMatch(pattern: string): (path: string) => boolean {
  if (!/[*?[\\]/.test(pattern)) return (path) => path === pattern
  if (pattern.startsWith('**') && !/[*?[\\]/.test(pattern.slice(2))) {
    // Two stars in front of plain text: anything that ends so, and the text alone without its slash.
    const suffix = pattern.slice(2)
    return (path) => path.endsWith(suffix) || (suffix.startsWith('/') && path === suffix.slice(1))
  }
  return createMatcher(compileGlob(pattern, true))
}
