import { describe, expect, test } from 'vitest'
import { compileIgnore, parseIgnoreFile } from '../../../buildkit-lite/context/ignore.ts'

describe('which paths a pattern ignores', () => {
  test.for([
    ['*.log', ['a.log'], ['s/a.log', 'a.log2']],
    ['**/*.log', ['a.log', 's/a.log', 's/t/a.log'], ['a.logs']],
    ['build/', ['build', 'build/x', 'build/x/y'], ['s/build', 'builds']],
    ['/rooted', ['rooted'], ['s/rooted']],
    ['./dotted', ['dotted'], ['s/dotted']],
    ['node_modules', ['node_modules/m'], ['s/node_modules']],
    ['**/node_modules', ['node_modules', 's/node_modules/m'], ['node_modules2']],
    ['a/*/c', ['a/b/c', 'a/b/c/d'], ['a/c', 'a/b/b/c']],
    ['a/**/c', ['a/c', 'a/b/c', 'a/b/b/c'], ['a/bc', 'c']],
    ['a/**', ['a/b', 'a/b/c'], ['a', 'ab']],
    ['**d', ['d', 'xd', 'a/xd'], ['da']],
    ['**', ['a', 'a/b'], []],
    ['?', ['a', 'a/b'], ['ab']],
    ['[a-c]x', ['ax', 'cx'], ['dx', 'x']],
    ['[^a]x', ['bx'], ['ax']],
    ['a\\*b', ['a*b'], ['axb']],
    ['x/../y', ['y'], ['x', 'x/y']],
    ['../z', [], ['z']],
    ['.', [], ['a']],
    ['ä?', ['äö'], ['ä']],
  ] as const)('%s', ([pattern, ignored, kept]) => {
    const matcher = compileIgnore([pattern])
    const bytes = (path: string) => Buffer.from(path).toString('latin1')
    expect(ignored.filter((path) => !matcher.ignores(bytes(path)))).toEqual([])
    expect(kept.filter((path) => matcher.ignores(bytes(path)))).toEqual([])
  })
})

describe('patterns together', () => {
  test.for([
    ['the last match decides', ['*.md', '!keep.md'], ['a.md'], ['keep.md']],
    ['order matters', ['!keep.md', '*.md'], ['keep.md'], []],
    ['an allow list', ['*', '!src'], ['a', 'b/c'], ['src', 'src/x']],
    ['taken back below an ignored directory', ['d', '!d/keep'], ['d/x'], ['d/keep', 'd/keep/y']],
    ['what was never ignored cannot be taken back for its children', ['d/e', '!d'], ['d/e'], ['d/f']],
  ] as const)('%s', ([, patterns, ignored, kept]) => {
    const matcher = compileIgnore(patterns)
    expect(ignored.filter((path) => !matcher.ignores(path))).toEqual([])
    expect(kept.filter((path) => matcher.ignores(path))).toEqual([])
  })

  test('directories above something that is kept stay', () => {
    const matcher = compileIgnore(['*', '!a/b/keep'])
    const paths = [
      { path: 'a', directory: true },
      { path: 'a/b', directory: true },
      { path: 'a/b/drop', directory: false },
      { path: 'a/b/keep', directory: false },
      { path: 'c', directory: true },
    ]
    expect(matcher.filter(paths)).toEqual([true, true, false, true, false])
  })

  test('an ignored directory is read only where something in it can come back', () => {
    const matcher = compileIgnore(['*', '!src/app', '!docs/*.md'])
    expect(matcher.prunes('node_modules')).toBe(true)
    expect(matcher.prunes('src')).toBe(false)
    expect(matcher.prunes('src/app/x')).toBe(false)
    expect(matcher.prunes('docs')).toBe(false)
    expect(compileIgnore(['*', '!**/x']).prunes('node_modules')).toBe(false)
  })
})

test('comments, blanks and the byte order mark are not patterns', () => {
  expect(parseIgnoreFile('\uFEFF# c\n\n  a  \r\n #b\n!c\n')).toEqual([
    { line: 3, pattern: 'a' },
    { line: 4, pattern: '#b' },
    { line: 5, pattern: '!c' },
  ])
})

test.for([
  ['a[', 'syntax error in pattern'],
  ['[]a]', 'syntax error in pattern'],
  ['a\\', 'syntax error in pattern'],
  ['!', 'illegal exclusion pattern: "!"'],
  ['!/', 'illegal exclusion pattern: "!"'],
  ['! /a/..', 'illegal exclusion pattern: "!"'],
] as const)('%s is refused: %s', ([pattern, message]) => {
  expect(() => compileIgnore([pattern])).toThrow(message)
})

test('time is linear whatever the pattern', () => {
  const matcher = compileIgnore(['**/a*a*a*a*a*a*a*a*a*b'])
  const path = `${'a'.repeat(100)}/`.repeat(40)
  const started = performance.now()
  expect(matcher.ignores(path.slice(0, -1))).toBe(false)
  expect(performance.now() - started).toBeLessThan(2000)
})
