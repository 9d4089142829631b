import { expect, test } from 'vitest'
import { decide, type SourceEvent } from '#domain/decide'
import { CommitSha } from '#domain/ids'
import { BuildRule, defaultRules } from '#domain/project'
import { findRuleMistake } from '#domain/rule-mistakes'

const sha = CommitSha.parse('0123456789abcdef0123456789abcdef01234567')
const ref = (kind: SourceEvent['source'], name: string, more: Partial<SourceEvent> = {}): SourceEvent => ({
  source: kind,
  name,
  sha,
  message: null,
  changedPaths: null,
  isManual: false,
  ...more,
})
const rule = (more: object) => BuildRule.parse({ source: 'branch', pattern: 'main', ...more })
const ask = (given: object, asked: SourceEvent) => decide(asked, [rule(given)])[0]!

test.for<[string, object, SourceEvent, string[] | RegExp]>([
  ['exact branch', { tags: ['latest', '{sha}'] }, ref('branch', 'main'), ['latest', sha]],
  ['exact is not a prefix', {}, ref('branch', 'main-x'), /does not match/],
  ['exact is not a suffix', {}, ref('branch', 'not-main'), /does not match/],
  ['exact text is no regex', { pattern: 'm.in' }, ref('branch', 'main'), /does not match/],
  ['tag is not branch', {}, ref('tag', 'main'), /for a branch/],
  ['regex matches the whole name', { pattern: '/123456/' }, ref('branch', '1234567'), /does not match/],
  ['regex alternatives match the whole name', { pattern: '/a|ab/' }, ref('branch', 'ab'), ['latest']],
  [
    'captures',
    { source: 'tag', pattern: '/v(\\d+)\\.(\\d+)/', tags: ['{\\1}', '{\\1}.{\\2}', '{sourceref}', '{tag}'] },
    ref('tag', 'v1.22'),
    ['1', '1.22', 'v1.22'],
  ],
  ['equal tags appear once', { tags: ['latest', '{branch}', 'main'] }, ref('branch', 'main'), ['latest', 'main']],
  ['slash of a branch', { pattern: '/.+/', tags: ['{branch}'] }, ref('branch', 'a/b/c'), ['a-b-c']],
  ['slash of a source ref', { pattern: '/.+/', tags: ['{sourceref}'] }, ref('branch', 'a/b'), /no registry accepts/],
  ['dots', { pattern: '/.+/', tags: ['{sourceref}'] }, ref('branch', '../x'), /no registry accepts/],
  ['200 characters', { pattern: '/.+/', tags: ['{branch}'] }, ref('branch', 'x'.repeat(200)), /no registry accepts/],
  ['tag of a branch', { tags: ['{tag}'] }, ref('branch', 'main'), /no registry accepts/],
  ['shell text is text', { pattern: '/.+/', tags: ['{branch}'] }, ref('branch', '$(id)'), /no registry accepts/],
  ['autobuild off', { autobuild: false }, ref('branch', 'main'), /autobuild is off/],
  ['autobuild off, by hand', { autobuild: false }, ref('branch', 'main', { isManual: true }), ['latest']],
  ['skip ci', {}, ref('branch', 'main', { message: 'Fix typo\n\n[skip ci]' }), /skip/],
  ['ci skip', {}, ref('branch', 'main', { message: '[CI SKIP] x' }), /skip/],
  ['skip ci, by hand', {}, ref('branch', 'main', { message: '[skip ci]', isManual: true }), ['latest']],
  ['no ci', {}, ref('branch', 'main', { message: 'x [no ci]' }), /skip the build: \[no ci\]/],
  ['skip build', {}, ref('tag', 'v1', { message: '[skip build]' }), /for a branch/],
  ['skipping is only talked of', {}, ref('branch', 'main', { message: 'skip ci' }), ['latest']],
  ['pull request', { source: 'pull-request' }, ref('pull-request', 'main'), []],
  ['pull request into another branch', { source: 'pull-request' }, ref('pull-request', 'dev'), /pull request into dev/],
  [
    'pull request, but the rule is for a branch',
    {},
    ref('pull-request', 'main'),
    /for a branch, this is a pull request/,
  ],
  ['pull request, autobuild off', { source: 'pull-request', autobuild: false }, ref('pull-request', 'main'), /off/],
  ['tags of a pull request', { source: 'pull-request', tags: ['{tag}'] }, ref('pull-request', 'main'), []],
  ['path wanted', { paths: ['web/**'] }, ref('branch', 'main', { changedPaths: ['web/a/b.ts'] }), ['latest']],
  ['an empty commit, for who wants all', {}, ref('branch', 'main', { changedPaths: [] }), ['latest']],
  ['an empty commit', { paths: ['web/**'] }, ref('branch', 'main', { changedPaths: [] }), /no changed path/],
  ['path not wanted', { paths: ['web/**'] }, ref('branch', 'main', { changedPaths: ['api/a.ts'] }), /no changed path/],
  [
    'path taken back',
    { paths: ['**', '!**/*.md'] },
    ref('branch', 'main', { changedPaths: ['README.md', 'docs/a.md'] }),
    /no changed path/,
  ],
  ['paths unknown', { paths: ['web/**'] }, ref('branch', 'main'), ['latest']],
  ['bad stored regex', { pattern: '/(/' }, ref('branch', 'main'), /no regular expression/],
])('%s', ([, given, asked, expected]) => {
  const outcome = ask(given, asked)
  if (expected instanceof RegExp) {
    expect(outcome).toMatchObject({ matches: false, tags: [] })
    expect(outcome.reason).toMatch(expected)
  } else expect(outcome).toMatchObject({ matches: true, tags: expected, push: asked.source !== 'pull-request' })
})

test('a catastrophic pattern takes no time', () => {
  const before = performance.now()
  expect(ask({ pattern: '/^(a+)+$/' }, ref('branch', `${'a'.repeat(200)}!`)).matches).toBe(false)
  expect(performance.now() - before).toBeLessThan(50)
})

test('default rules', () => {
  const outcomes = decide(ref('branch', 'trunk'), defaultRules('trunk'))
  expect(outcomes.map((outcome) => outcome.tags)).toEqual([['latest', sha], []])
  expect(decide(ref('tag', 'v1.2'), defaultRules('trunk')).map((outcome) => outcome.tags)).toEqual([[], ['1.2']])
})

test.for<[object, RegExp | null]>([
  [{}, null],
  [{ pattern: '/a(b)/', tags: ['{\\1}'] }, null],
  [{ pattern: '/a(b)/', tags: ['{\\2}'] }, /has 1 groups/],
  [{ pattern: '/(a/' }, /no regular expression/],
  [{ pattern: '/a(?=b)/' }, /no regular expression/],
  [{ pattern: '/a' }, /no \/regex\//],
  [{ tags: ['{date}'] }, /unknown placeholder/],
])('mistake in rule %j', ([given, expected]) => {
  const mistake = findRuleMistake(rule(given))
  if (expected) expect(mistake).toMatch(expected)
  else expect(mistake).toBeNull()
})
