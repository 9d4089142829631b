import { RE2JS } from 're2js'
import { messageOf } from './errors.ts'
import type { CommitSha } from './ids.ts'
import { Tag } from './image-reference.ts'
import { anyPathWanted } from './path-filter.ts'
import type { BuildRule } from './project.ts'

/** What a rule is asked about: a branch or tag as it is after a push. */
export interface PushedRef {
  source: 'branch' | 'tag'
  name: string
  /** Null where no commit is known, as in a simulation: `{sha}` then stands for forty zeros. */
  sha: CommitSha | null
  message: string | null
  /** Paths the push changed; null where that is not known, which lets every path filter pass. */
  changedPaths: readonly string[] | null
  /** A person asks: `autobuild`, paths and `[skip ci]` do not hold the build back. */
  isManual: boolean
}

export interface RuleOutcome {
  rule: number
  matches: boolean
  tags: Tag[]
  /** Why it matches, or why not, in words for a person. */
  reason: string
}

const PLACEHOLDER = /\{([^{}]*)\}/g
const SKIP = /\[(?:skip ci|ci skip)\]/i

/** What each rule does with a push. The one decision function: webhook, git push, simulator and tests all ask it. */
export function matchRules(rules: readonly BuildRule[], ref: PushedRef): RuleOutcome[] {
  return rules.map((rule, index) => {
    const outcome = matchRule(rule, ref)
    return typeof outcome === 'string'
      ? { rule: index, matches: false, tags: [], reason: outcome }
      : { rule: index, matches: true, tags: outcome, reason: `${ref.source} ${ref.name} matches ${rule.pattern}` }
  })
}

/** What is wrong with a rule in itself: a bad regex, or a tag that names what does not exist. Null where nothing is. */
export function findRuleMistake(rule: BuildRule): string | null {
  const pattern = compilePattern(rule.pattern)
  if (typeof pattern === 'string') return pattern
  for (const template of rule.tags) {
    for (const [whole, name = ''] of template.matchAll(PLACEHOLDER)) {
      const group = /^\\([1-9])$/.exec(name)?.[1]
      if (group !== undefined && Number(group) > pattern.groups)
        return `Tag "${template}" uses ${whole}, but pattern ${rule.pattern} has ${pattern.groups} groups`
      if (group === undefined && !['sourceref', 'sha', 'branch', 'tag'].includes(name))
        return `Tag "${template}" has the unknown placeholder ${whole}; known are {sourceref} {\\1}…{\\9} {sha} {branch} {tag}`
    }
  }
  return null
}

/** The tags that the rule gives, or why it makes no build. */
function matchRule(rule: BuildRule, ref: PushedRef): Tag[] | string {
  if (rule.source !== ref.source) return `the rule is for a ${rule.source}, this is a ${ref.source}`
  const pattern = compilePattern(rule.pattern)
  if (typeof pattern === 'string') return pattern
  const captures = pattern.match(ref.name)
  if (!captures) return `${ref.source} ${ref.name} does not match ${rule.pattern}`
  const held = ref.isManual ? null : heldBack(rule, ref)
  return held ?? fillTags(rule.tags, ref, captures)
}

function heldBack(rule: BuildRule, ref: PushedRef): string | null {
  if (!rule.autobuild) return 'autobuild is off'
  if (ref.message && SKIP.test(ref.message)) return 'the commit message asks to skip the build'
  // Who wants every path wants every push, an empty commit too.
  const wantsAll = rule.paths.length === 1 && rule.paths[0] === '**'
  if (!wantsAll && ref.changedPaths && !anyPathWanted(rule.paths, ref.changedPaths))
    return `no changed path matches ${rule.paths.join(', ')}`
  return null
}

interface Pattern {
  groups: number
  /** The captured groups, the whole match first; null where the name does not match as a whole. */
  match(name: string): (string | null)[] | null
}

/** `/regex/` or an exact name; a text says what is wrong. RE2 takes time linear in the name, whatever the pattern. */
function compilePattern(pattern: string): Pattern | string {
  if (!pattern.startsWith('/')) return { groups: 0, match: (name: string) => (name === pattern ? [name] : null) }
  if (pattern.length < 3 || !pattern.endsWith('/')) return `Pattern ${pattern} starts with / but is no /regex/`
  try {
    const regex = RE2JS.compile(pattern.slice(1, -1))
    return { groups: regex.groupCount(), match: (name: string) => matchWhole(regex, name) }
  } catch (error) {
    return `Pattern ${pattern} is no regular expression (RE2): ${messageOf(error)}`
  }
}

function matchWhole(regex: RE2JS, name: string): (string | null)[] | null {
  const matcher = regex.matcher(name)
  if (!matcher.matches()) return null
  return Array.from({ length: regex.groupCount() + 1 }, (_, group) => matcher.group(group))
}

function fillTags(templates: readonly string[], ref: PushedRef, captures: (string | null)[]): Tag[] | string {
  const tags = new Set<Tag>()
  for (const template of templates) {
    const text = template.replaceAll(PLACEHOLDER, (_, name: string) => placeholder(name, ref, captures))
    const tag = Tag.safeParse(text)
    if (!tag.success) return `tag "${template}" becomes "${text.slice(0, 200)}", which no registry accepts as a tag`
    tags.add(tag.data)
  }
  return [...tags]
}

function placeholder(name: string, ref: PushedRef, captures: (string | null)[]): string {
  if (name === 'sourceref') return ref.name
  if (name === 'sha') return ref.sha ?? '0'.repeat(40)
  if (name === 'branch') return ref.source === 'branch' ? ref.name.replaceAll('/', '-') : ''
  if (name === 'tag') return ref.source === 'tag' ? ref.name : ''
  return captures[Number(name.slice(1))] ?? ''
}
