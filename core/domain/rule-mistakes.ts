import { decide, PLACEHOLDER } from './decide.ts'
import type { BuildRule } from './project.ts'
import { compilePattern } from './rule-pattern.ts'

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

/** Pairs of rules by which one push moves one tag twice: allowed, but hardly meant. In words for a person. */
export function findRuleConflicts(rules: readonly BuildRule[]): string[] {
  return rules.flatMap((second, at) =>
    rules.slice(0, at).flatMap((first, before) => {
      const shared = sharedTags(first, second)
      if (shared.length === 0) return []
      const what = `${second.source} ${isExact(first) ? first.pattern : second.pattern}`
      return [
        `Rules ${before} and ${at} both build ${what} and both set the tag ${shared.join(', ')}: the one that ends last wins`,
      ]
    }),
  )
}

function sharedTags(first: BuildRule, second: BuildRule): string[] {
  if (first.source !== second.source || first.source === 'pull-request') return []
  if (!(first.push && second.push && first.autobuild && second.autobuild)) return []
  // Of two expressions nobody can say quickly whether they have a name in common.
  if (!isExact(first) && !isExact(second))
    return first.pattern === second.pattern ? first.tags.filter((tag) => second.tags.includes(tag)) : []
  const name = isExact(first) ? first.pattern : second.pattern
  const event = { source: first.source, name, sha: null, message: null, changedPaths: null, isManual: false }
  const [ofFirst, ofSecond] = decide(event, [first, second]).map(({ tags }) => tags)
  return (ofFirst ?? []).filter((tag) => ofSecond?.includes(tag))
}

function isExact(rule: BuildRule): boolean {
  return !rule.pattern.startsWith('/')
}
