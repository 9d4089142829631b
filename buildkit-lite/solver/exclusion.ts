import { SlipwayError } from '#domain/errors'
import { BadPattern } from '../context/glob.ts'
import { compileIgnore, type IgnoreMatcher } from '../context/ignore.ts'
import { type Exclusion, NO_EXCLUSION } from './file-tree.ts'

/**
 * `--exclude`: patterns as in .dockerignore, relative to the directory that is copied, or with `--parents` to the
 * origin's root. A file that is named itself is copied all the same.
 */
export function createExclusion(patterns: readonly string[], fromRoot: boolean): Exclusion {
  if (patterns.length === 0) return NO_EXCLUSION
  const matcher = compile(patterns)
  const canReinclude = patterns.some((pattern) => pattern.startsWith('!'))
  return { isExcluded: (relative, path) => matcher.ignores(fromRoot ? path.slice(1) : relative), canReinclude }
}

function compile(patterns: readonly string[]): IgnoreMatcher {
  try {
    return compileIgnore(patterns)
  } catch (error) {
    if (!(error instanceof BadPattern)) throw error
    throw new SlipwayError('dockerfile-invalid', `--exclude: ${error.message}`, { cause: error })
  }
}
