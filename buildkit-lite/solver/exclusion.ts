import { SlipwayError } from '#domain/errors'
import { BadPattern } from '../context/glob.ts'
import { compileIgnore, type IgnoreMatcher } from '../context/ignore.ts'
import { type Exclusion, NO_EXCLUSION } from './file-tree.ts'

/**
 * `--exclude`: patterns as in .dockerignore, relative to the directory that is copied; with `--parents` that is the one
 * the kept paths start from. A file that is named itself is copied all the same.
 */
export function createExclusion(patterns: readonly string[]): Exclusion {
  if (patterns.length === 0) return NO_EXCLUSION
  const matcher = compilePatterns(patterns, '--exclude: ')
  const canReinclude = patterns.some((pattern) => pattern.startsWith('!'))
  return { isExcluded: (relative) => matcher.ignores(relative), canReinclude }
}

/** Patterns of an instruction; a wrong one is its author's to mend. */
export function compilePatterns(patterns: readonly string[], where = ''): IgnoreMatcher {
  try {
    return compileIgnore(patterns)
  } catch (error) {
    if (!(error instanceof BadPattern)) throw error
    throw new SlipwayError('dockerfile-invalid', `${where}${error.message}`, { cause: error })
  }
}
