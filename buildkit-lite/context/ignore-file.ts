import { SourceError } from '#domain/errors'
import { renderExcerpt } from '../dockerfile/errors.ts'
import type { ContextEntry } from './contract.ts'
import { BadPattern } from './glob.ts'
import { compileIgnore, type IgnoreLine, type IgnoreMatcher, parseIgnoreFile } from './ignore.ts'

/** Reads a file of the context by its written path; null where there is none. */
export type ReadContextFile = (path: string) => Promise<Buffer | null>

/** A line of an ignore file that hides something. */
export interface IgnoreRule {
  file: string
  line: number
  pattern: string
}

/** The patterns of an ignore file that know where they stand in it. */
export interface IgnoreFile extends IgnoreMatcher {
  /** The line that hides a path; null where none does. */
  ruleFor(path: string): IgnoreRule | null
}

/** The one ignore file of a context: the Dockerfile's own, next to it, or else `.dockerignore` at the root. */
export async function readIgnoreFile(read: ReadContextFile, dockerfile: string | null): Promise<IgnoreFile | null> {
  const own = dockerfile === null ? null : `${dockerfile}.dockerignore`
  for (const path of own === null ? ['.dockerignore'] : [own, '.dockerignore']) {
    const bytes = await read(path)
    if (bytes === null) continue
    const text = bytes.toString('utf8')
    const lines = parseIgnoreFile(text)
    return lines.length > 0 ? locating(path, text, lines) : null
  }
  return null
}

/** Shows a wrong pattern where it stands. */
function locating(file: string, text: string, lines: readonly IgnoreLine[]): IgnoreFile {
  const wrong = lines.find(({ pattern }) => badPattern(pattern) !== null)
  if (!wrong) return compile(file, lines)
  const { line, pattern } = wrong
  const cause = badPattern(pattern)
  const excerpt = renderExcerpt({ name: file, text }, { first: line, last: line })
  throw new SourceError('context-invalid', `${file}: ${cause?.message}`, { file, line, excerpt }, { cause })
}

function badPattern(pattern: string): BadPattern | null {
  try {
    compileIgnore([pattern])
    return null
  } catch (error) {
    if (error instanceof BadPattern) return error
    throw error
  }
}

function compile(file: string, lines: readonly IgnoreLine[]): IgnoreFile {
  const matcher = compileIgnore(lines.map(({ pattern }) => pattern))
  const ruleFor = (path: string): IgnoreRule | null => {
    const found = lines[matcher.decidedBy(path) ?? -1]
    return found ? { file, ...found } : null
  }
  return { ...matcher, ruleFor }
}

/** The entries that stay; they must be sorted, so that parents come first. */
export function dropIgnored(entries: readonly ContextEntry[], ignore: IgnoreMatcher | null): readonly ContextEntry[] {
  if (!ignore) return entries
  const kept = ignore.filter(entries.map(({ path, kind }) => ({ path, directory: kind === 'directory' })))
  return entries.filter((_, index) => kept[index])
}

/** Larger ignore files are not meant. */
export const MAX_IGNORE_BYTES = 1024 * 1024
