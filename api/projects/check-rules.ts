import { SlipwayError } from '#domain/errors'
import { findRuleMistake } from '#domain/match-rules'
import type { BuildRule } from '#domain/project'

/** Refuses rules that could never work, before they are stored. */
export function checkRules(rules: readonly BuildRule[]): void {
  for (const [index, rule] of rules.entries()) {
    const mistake = findRuleMistake(rule)
    if (mistake) throw new SlipwayError('invalid', `Rule ${index} is wrong: ${mistake}`)
  }
}
