import { SlipwayError } from '#domain/errors'
import type { BuildRule } from '#domain/project'
import { findRuleMistake } from '#domain/rule-mistakes'

/** Refuses rules that could never work, before they are stored. */
export function checkRules(rules: readonly BuildRule[]): void {
  for (const [index, rule] of rules.entries()) {
    const mistake = findRuleMistake(rule)
    if (mistake) throw new SlipwayError('invalid', `Rule ${index} is wrong: ${mistake}`)
  }
}
