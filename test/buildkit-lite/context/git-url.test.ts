import { describe, expect, test } from 'vitest'
import { type GitSource, parseGitUrl } from '../../../buildkit-lite/context/git-url.ts'

const bare: GitSource = {
  url: '',
  ref: null,
  subdirectory: '/',
  checksum: null,
  keepGitDir: null,
  submodules: null,
}

test.for<[string, Partial<GitSource>]>([
  ['https://h/n.git', { url: 'https://h/n.git' }],
  ['http://h:3000/a/n.git#main', { url: 'http://h:3000/a/n.git', ref: 'main' }],
  ['https://h/n.git#main:sub/dir', { url: 'https://h/n.git', ref: 'main', subdirectory: 'sub/dir' }],
  ['https://h/n.git#:sub', { url: 'https://h/n.git', subdirectory: 'sub' }],
  ['git@h.example:n.git#v1', { url: 'git@h.example:n.git', ref: 'v1' }],
  ['git@h.example:n', { url: 'git@h.example:n' }],
  ['ssh://git@h:22/n#v1', { url: 'ssh://git@h:22/n', ref: 'v1' }],
  ['git://h/n', { url: 'git://h/n' }],
  ['https://h/n.git?ref=v1&subdir=s', { url: 'https://h/n.git', ref: 'v1', subdirectory: 's' }],
  ['https://h/n.git?tag=v1', { url: 'https://h/n.git', ref: 'refs/tags/v1' }],
  ['https://h/n.git?branch=refs/heads/b', { url: 'https://h/n.git', ref: 'refs/heads/b' }],
  ['https://h/n.git?commit=abc123', { url: 'https://h/n.git', ref: 'abc123', checksum: 'abc123' }],
  ['https://h/n.git?checksum=abc123#main', { url: 'https://h/n.git', ref: 'main', checksum: 'abc123' }],
  ['https://h/n.git?keep-git-dir&submodules=false', { url: 'https://h/n.git', keepGitDir: true, submodules: false }],
  ['https://h/n.git?mtime=commit', { url: 'https://h/n.git', mtime: 'commit' }],
  ['https://h/n.git?mtime=checkout&fetch-by-commit=1', { url: 'https://h/n.git' }],
  ['git@h:n.git?ref=v2#:d', { url: 'git@h:n.git', ref: 'v2', subdirectory: 'd' }],
])('%s', ([text, expected]) => {
  expect(parseGitUrl(text)).toEqual({ ...bare, ...expected })
})

test.for([
  'https://h/n',
  'https://h/n.git/file',
  './x.git',
  '/x.git',
  'n.git',
  'file:///x.git',
  'ext::sh',
  'ftp://h/n.git',
])('%s is no git repository', (text) => {
  expect(parseGitUrl(text)).toBeNull()
})

test('what names this machine, or leaves out how, is for the one who builds', () => {
  const options = { local: true }
  expect(parseGitUrl('file:///x.git#main', options)).toMatchObject({ url: 'file:///x.git', ref: 'main' })
  expect(parseGitUrl('github.com/a/b', options)).toMatchObject({ url: 'https://github.com/a/b' })
  expect(parseGitUrl('github.com/a/b')).toBeNull()
})

describe('mistakes', () => {
  test.for([
    ['https://h/n.git#--upload-pack=x', '"--upload-pack=x" is no git ref'],
    ['https://h/n.git?ref=a&ref=b', 'query "ref" has multiple values'],
    ['https://h/n.git?ref=', 'query "ref" has no value'],
    ['https://h/n.git?ref=a#b', 'ref conflicts: "b" vs "a"'],
    ['https://h/n.git?subdir=a#b:c', 'subdir conflicts: "c" vs "a"'],
    ['https://h/n.git?tag=a&branch=b', 'branch conflicts with tag'],
    ['https://h/n.git?submodules=maybe', 'invalid submodules value: "maybe"'],
    ['https://h/n.git?mtime=now', 'invalid mtime value: "now"'],
    ['https://h/n.git?mood=good', 'unexpected query "mood"'],
  ] as const)('%s', ([text, message]) => {
    expect(() => parseGitUrl(text)).toThrow(message)
  })
})
