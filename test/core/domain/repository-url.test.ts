import { expect, test } from 'vitest'
import { RepositoryUrl, repositoryKey } from '#domain/repository-url'

test.for<[string, boolean]>([
  ['https://github.com/acme/web.git', true],
  ['http://127.0.0.1:8080/acme/web', true],
  ['ssh://git@host.example:2222/acme/web.git', true],
  ['git@github.com:acme/web.git', true],
  ['ext::sh -c id', false],
  ['ext::sh', false],
  ['EXT::sh', false],
  ['fd::17', false],
  ['file:///etc', false],
  ['/etc', false],
  ['-uupload', false],
  ['--upload-pack=id', false],
  ['ssh://-oProxyCommand=x/y', false],
  ['git@host:--upload-pack=x', false],
  ['-oProxyCommand=x@host:path', false],
  ['https://host/a\nb', false],
  ['https://host', false],
])('%s is accepted: %s', ([url, isGood]) => {
  expect(RepositoryUrl.safeParse(url).success).toBe(isGood)
})

test('spellings of one repository share a key', () => {
  const keys = [
    'https://GitHub.com/Acme/web.git',
    'https://user:x@github.com/acme/web/',
    'git@github.com:acme/web.git',
    'ssh://git@github.com:22/acme/web',
  ].map(repositoryKey)
  expect(new Set(keys)).toEqual(new Set(['github.com/acme/web']))
  expect(repositoryKey('https://github.com/acme/web2')).not.toBe(keys[0])
})
