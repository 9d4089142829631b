import { RE2JS } from 're2js'
import { messageOf } from './errors.ts'

export interface Pattern {
  groups: number
  /** Whether it names one branch or tag, and no more. */
  isExact: boolean
  /** The captured groups, the whole match first; null where the name does not match as a whole. */
  match(name: string): (string | null)[] | null
}

/** `/regex/` or an exact name; a text says what is wrong. RE2 takes time linear in the name, whatever the pattern. */
export function compilePattern(pattern: string): Pattern | string {
  if (!pattern.startsWith('/'))
    return { groups: 0, isExact: true, match: (name: string) => (name === pattern ? [name] : null) }
  if (pattern.length < 3 || !pattern.endsWith('/')) return `Pattern ${pattern} starts with / but is no /regex/`
  try {
    const regex = RE2JS.compile(pattern.slice(1, -1))
    return { groups: regex.groupCount(), isExact: false, match: (name: string) => matchWhole(regex, name) }
  } catch (error) {
    return `Pattern ${pattern} is no regular expression (RE2): ${messageOf(error)}`
  }
}

function matchWhole(regex: RE2JS, name: string): (string | null)[] | null {
  const matcher = regex.matcher(name)
  if (!matcher.matches()) return null
  return Array.from({ length: regex.groupCount() + 1 }, (_, group) => matcher.group(group))
}
