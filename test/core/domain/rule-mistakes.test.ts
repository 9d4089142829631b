import { expect, test } from 'vitest'
import { BuildRule } from '#domain/project'
import { findRuleConflicts } from '#domain/rule-mistakes'

test.for<[string, object, object, number]>([
  ['one name, one tag', {}, {}, 1],
  ['one name, other tags', {}, { tags: ['edge'] }, 0],
  ['other names', {}, { pattern: 'dev' }, 0],
  ['a name that the other expression has', {}, { pattern: '/m.+/', tags: ['x', 'latest'] }, 1],
  ['a name that the other expression fills in', { tags: ['main'] }, { pattern: '/m.+/', tags: ['{branch}'] }, 1],
  ['a name that the other expression has not', {}, { pattern: '/n.+/' }, 0],
  ['one expression', { pattern: '/a.*/' }, { pattern: '/a.*/' }, 1],
  ['two expressions', { pattern: '/a.*/' }, { pattern: '/b.*/' }, 0],
  ['a branch and a tag', {}, { source: 'tag' }, 0],
  ['pull requests', { source: 'pull-request' }, { source: 'pull-request' }, 0],
  ['one that is off', {}, { autobuild: false }, 0],
  ['one that pushes nothing', {}, { push: false }, 0],
])('%s', ([, first, second, conflicts]) => {
  const rules = [first, second].map((rule) => BuildRule.parse({ source: 'branch', pattern: 'main', ...rule }))
  expect(findRuleConflicts(rules)).toHaveLength(conflicts)
})
