import { expect, test } from 'vitest'
import type { ContextEntry } from '../../../buildkit-lite/context/contract.ts'
import { createExclusion } from '../../../buildkit-lite/solver/exclusion.ts'
import { NO_EXCLUSION, treeOfEntries, walk } from '../../../buildkit-lite/solver/file-tree.ts'
import { MissingSourceError, selectSource } from '../../../buildkit-lite/solver/select-sources.ts'

const file = (path: string): ContextEntry => entry(path, 'file', null)
const link = (path: string, target: string): ContextEntry => entry(path, 'symlink', target)
const entry = (path: string, kind: ContextEntry['kind'], linkTarget: string | null): ContextEntry => ({
  path,
  kind,
  linkTarget,
  mode: 0o644,
  contentId: kind === 'file' ? `sha256:${path}` : null,
  sizeBytes: 0,
})

const tree = treeOfEntries([
  file('a.txt'),
  file('.h.txt'),
  file('arr[0].x'),
  file('d1/f'),
  file('d2/s/k'),
  link('escape', '../../../../d1/f'),
  link('here', 'd2'),
  link('loop', 'loop'),
  link('nowhere', 'gone'),
])
const select = (source: string, parents = false) =>
  selectSource(tree, source, { parents, exclusion: NO_EXCLUSION }).map(({ path, name }) => [path, name])

test.for<[string, [string, string][]]>([
  ['a.txt', [['/a.txt', 'a.txt']]],
  ['/../../a.txt/', [['/a.txt', 'a.txt']]],
  ['.', [['/', '']]],
  [
    '*.txt',
    [
      ['/.h.txt', '.h.txt'],
      ['/a.txt', 'a.txt'],
    ],
  ],
  [
    'd?/*',
    [
      ['/d1/f', 'f'],
      ['/d2/s', 's'],
    ],
  ],
  ['arr[[]0].x', [['/arr[0].x', 'arr[0].x']]],
  ['*none*', []],
  // Links that are named are followed inside the tree, and keep their own names.
  ['escape', [['/d1/f', 'escape']]],
  ['here', [['/d2', 'here']]],
  ['here/s/k', [['/d2/s/k', 'k']]],
  ['h*', [['/d2', 'here']]],
  // Before a wildcard they are followed, after it they are not.
  ['here/*', [['/d2/s', 's']]],
  ['*/s', [['/d2/s', 's']]],
  ['*/loop', []],
  ['d?/none*', []],
  ['a.txt/*', []],
  ['nowhere/*', []],
])('%s', ([source, expected]) => {
  expect(select(source)).toEqual(expected)
})

test.for(['nope', 'nowhere', 'd1/f/x'])('%s is missing', (source) => {
  expect(() => select(source)).toThrow(MissingSourceError)
})

test('a link to nothing is said to be one', () => {
  expect(() => select('nowhere')).toThrow('"/nowhere": not found: it is a link to "gone", which is not there')
})

test('links without an end are an error', () => {
  expect(() => select('loop')).toThrow('more than 40 links')
})

test.for<[string, string[], string[]]>([
  ['d2/s/k', ['/d2/s/k'], ['/d2', '/d2/s']],
  ['./d2/./s/k', ['/d2/s/k'], ['/d2/s']],
  ['**/k', ['/d2/s/k'], ['/d2', '/d2/s']],
])('--parents %s', ([source, paths, parents]) => {
  const selected = selectSource(tree, source, { parents: true, exclusion: NO_EXCLUSION })
  expect(selected.map((one) => one.path)).toEqual(paths)
  expect(selected[0]?.parents).toEqual(parents)
})

test('--parents does not follow links on the way, and says so', () => {
  expect(() => select('here/s/k', true)).toThrow(MissingSourceError)
  expect(() => select('here/s/k', true)).toThrow(
    '"/here/s/k": not found: "/here" is a link, and --parents follows none',
  )
  expect(() => select('d2/none', true)).toThrow(/"\/d2\/none": not found$/)
})

test.for<[string, string[]]>([
  ['d*/./s/k', ['/d2/s/k']],
  ['d*/./none', []],
  ['none*/./s/k', []],
  ['d2/./none/*', []],
])('--parents %s need not match', ([source, paths]) => {
  expect(select(source, true).map(([path]) => path)).toEqual(paths)
})

const walked = (exclude: string[]) =>
  [...walk(tree, '/', createExclusion(exclude))].map(({ relative }) => relative).filter((path) => !path.includes('arr'))

test('what is excluded is left out, and what is taken back brings its parents', () => {
  expect(walked(['*', '!d2/s/k'])).toEqual(['d2', 'd2/s', 'd2/s/k'])
  expect(walked(['**/*.txt', 'd2', 'escape', 'here', 'loop', 'nowhere'])).toEqual(['d1', 'd1/f'])
})

test.for(['none/*', 'd1/none/*.txt', 'none/deep/[a-c]'])('%s has nowhere to look', (source) => {
  expect(() => select(source)).toThrow(MissingSourceError)
})
