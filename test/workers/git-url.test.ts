import { expect, test } from 'vitest'
import { parseGitUrl } from '../../workers/git-url.ts'

test.for([
  ['https://github.com/acme/web.git', 'https://github.com/acme/web.git', null],
  ['http://127.0.0.1:3000/acme/web', 'http://127.0.0.1:3000/acme/web', null],
  ['https://[::1]:8443/a.git', 'https://[::1]:8443/a.git', null],
  ['https://u:p%40ss@example.org/a.git', 'https://example.org/a.git', { username: 'u', password: 'p@ss' }],
  ['ssh://git@example.org:2222/a.git', 'ssh://git@example.org:2222/a.git', null],
  ['git@github.com:acme/web.git', 'git@github.com:acme/web.git', null],
  ['example.org:a.git', 'example.org:a.git', null],
] as const)('%s is fetched from %s', ([text, url, credentials]) => {
  expect(parseGitUrl(text)).toEqual({ url, credentials })
})

test.for([
  'ext::sh -c id',
  'ext::id',
  'EXT::id',
  'fd::17/a',
  'file:///etc',
  'FILE:///etc',
  '/etc',
  './a',
  '-u./evil',
  '--upload-pack=id',
  'ssh://-oProxyCommand=x/a',
  'ssh://-oProxyCommand=x@example.org/a',
  'ssh://git:secret@example.org/a',
  'git@host:--upload-pack',
  'git@host:-x',
  '-x@host:a',
  'git@-oProxyCommand=x:a',
  'https://example.org/a.git\n',
  'https://example.org/a b',
  'https://example.org/\u0000',
  'https:///etc',
  'https://example.org/',
  'git://example.org/a',
  'HTTPS://example.org/a',
  'transport::address',
  '',
])('%j is refused before git runs', (text) => {
  expect(() => parseGitUrl(text)).toThrow(expect.objectContaining({ kind: 'source-unavailable' }))
})

test('a refusal does not repeat a password', () => {
  expect(() => parseGitUrl('https://u:hunter22@example.org/ x')).toThrow(
    expect.objectContaining({ message: expect.not.stringContaining('hunter22') }),
  )
})
