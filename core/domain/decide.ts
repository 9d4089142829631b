import type { CommitSha } from './ids.ts'
import { Tag } from './image-reference.ts'
import { anyPathWanted } from './path-filter.ts'
import type { BuildRule } from './project.ts'
import { compilePattern } from './rule-pattern.ts'

/** What the rules are asked about: a branch or tag as it is after a push, or a pull request. */
export interface SourceEvent {
  source: BuildRule['source']
  /** The branch or tag; of a pull request the branch that it wants to go into. */
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
  /** Empty for a pull request: what nobody has merged takes no tag. */
  tags: Tag[]
  /** Whether the image goes to the registry. */
  push: boolean
  /** Why it matches, or why not, in words for a person. */
  reason: string
}

export const PLACEHOLDER = /\{([^{}]*)\}/g
const SKIP = /\[(?:skip ci|ci skip|no ci|skip build|build skip)\]/i

/** What each rule does with an event. The one decision function: webhook, git push, simulator and tests all ask it. */
export function decide(event: SourceEvent, rules: readonly BuildRule[]): RuleOutcome[] {
  return rules.map((rule, index) => {
    const outcome = decideOne(rule, event)
    if (typeof outcome === 'string') return { rule: index, matches: false, tags: [], push: false, reason: outcome }
    const isPullRequest = event.source === 'pull-request'
    const note = isPullRequest ? '; the image is built and not pushed' : ''
    const reason = `${nameOf(event)} matches ${rule.pattern}${note}`
    return { rule: index, matches: true, tags: outcome, push: rule.push && !isPullRequest, reason }
  })
}

/** The tags that the rule gives, or why it makes no build. */
function decideOne(rule: BuildRule, event: SourceEvent): Tag[] | string {
  if (rule.source !== event.source) return `the rule is for a ${KINDS[rule.source]}, this is a ${KINDS[event.source]}`
  const pattern = compilePattern(rule.pattern)
  if (typeof pattern === 'string') return pattern
  const captures = pattern.match(event.name)
  if (!captures) return `${nameOf(event)} does not match ${rule.pattern}`
  const held = event.isManual ? null : heldBack(rule, event)
  if (held !== null || event.source === 'pull-request') return held ?? []
  return fillTags(rule.tags, event, captures)
}

const KINDS = { branch: 'branch', tag: 'tag', 'pull-request': 'pull request' } as const

function nameOf({ source, name }: SourceEvent): string {
  return source === 'pull-request' ? `pull request into ${name}` : `${source} ${name}`
}

function heldBack(rule: BuildRule, event: SourceEvent): string | null {
  if (!rule.autobuild) return 'autobuild is off'
  const marker = SKIP.exec(event.message ?? '')?.[0]
  if (marker) return `the commit message asks to skip the build: ${marker}`
  // Who wants every path wants every push, an empty commit too.
  const wantsAll = rule.paths.length === 1 && rule.paths[0] === '**'
  if (!wantsAll && event.changedPaths && !anyPathWanted(rule.paths, event.changedPaths))
    return `no changed path matches ${rule.paths.join(', ')}`
  return null
}

function fillTags(templates: readonly string[], event: SourceEvent, captures: (string | null)[]): Tag[] | string {
  const tags = new Set<Tag>()
  for (const template of templates) {
    const text = template.replaceAll(PLACEHOLDER, (_, name: string) => placeholder(name, event, captures))
    const tag = Tag.safeParse(text)
    if (!tag.success) return `tag "${template}" becomes "${text.slice(0, 200)}", which no registry accepts as a tag`
    tags.add(tag.data)
  }
  return [...tags]
}

function placeholder(name: string, event: SourceEvent, captures: (string | null)[]): string {
  if (name === 'sourceref') return event.name
  if (name === 'sha') return event.sha ?? '0'.repeat(40)
  if (name === 'branch') return event.source === 'branch' ? event.name.replaceAll('/', '-') : ''
  if (name === 'tag') return event.source === 'tag' ? event.name : ''
  return captures[Number(name.slice(1))] ?? ''
}
