import type { LineRange } from '../dockerfile/errors.ts'
import type { RuleName } from './rules.ts'

/** Where a rule is broken: lines, and the comments above them, which may silence it. */
export interface LintPlace extends LineRange {
  comments?: readonly string[]
}

/** Takes one broken rule. */
export type Report = (rule: RuleName, message: string, at: LintPlace) => void
