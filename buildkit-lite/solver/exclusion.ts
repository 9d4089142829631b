import { compileGlob, matchTokens } from '../context/glob.ts'
import { toByteString } from './beneath.ts'
import { type Exclusion, NO_EXCLUSION } from './file-tree.ts'

/**
 * `--exclude`: patterns as in .dockerignore, relative to the directory that is copied, or with `--parents` to the
 * origin's root. A file that is named itself is copied all the same.
 */
export function createExclusion(patterns: readonly string[], fromRoot: boolean): Exclusion {
  if (patterns.length === 0) return NO_EXCLUSION
  const rules = patterns.map((pattern) => {
    const negated = pattern.startsWith('!')
    const clean = (negated ? pattern.slice(1) : pattern).replace(/^(?:\.?\/)+/, '').replace(/\/+$/, '')
    return { negated, tokens: compileGlob(toByteString(clean), true) }
  })
  const isExcluded = (relative: string, path: string): boolean => {
    const prefixes = prefixesOf(fromRoot ? path.slice(1) : relative)
    let excluded = false
    for (const { negated, tokens } of rules) {
      if (negated === excluded && prefixes.some((prefix) => matchTokens(tokens, prefix))) excluded = !negated
    }
    return excluded
  }
  return { isExcluded, canReinclude: rules.some((rule) => rule.negated) }
}

/** A path and the directories it is in, outermost first. */
function prefixesOf(path: string): string[] {
  const parts = path.split('/')
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'))
}
