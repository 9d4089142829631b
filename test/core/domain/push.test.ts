import { expect, test } from 'vitest'
import { RefName, readRef } from '#domain/push'

test.for([
  'refs/heads/main',
  'refs/heads/feature/x-1',
  'refs/tags/v1.2.3',
  'refs/heads/ünïcode',
  'refs/heads/$(id)',
  'refs/heads/a;b',
])('%s is a ref', (ref) => {
  expect(RefName.safeParse(ref).success).toBe(true)
})

test.for([
  'main',
  'refs/heads/',
  'refs/pull/1/head',
  'refs/heads/../../x',
  'refs/heads/a..b',
  'refs/heads/-x',
  'refs/heads/--upload-pack=x',
  'refs/heads/.hidden',
  'refs/heads/a/.b',
  'refs/heads/a.lock',
  'refs/heads/a/',
  'refs/heads//a',
  'refs/heads/a b',
  'refs/heads/a\nb',
  'refs/heads/a\u0000',
  'refs/heads/a~1',
  'refs/heads/a^',
  'refs/heads/a:b',
  'refs/heads/a?',
  'refs/heads/a*',
  'refs/heads/a[',
  'refs/heads/a\\b',
  'refs/heads/a@{1}',
  'refs/heads/a.',
  `refs/heads/${'x'.repeat(4096)}`,
])('%j is none', (ref) => {
  expect(RefName.safeParse(ref).success).toBe(false)
})

test('branches and tags are told apart', () => {
  expect(readRef('refs/heads/release/1')).toEqual({ source: 'branch', name: 'release/1' })
  expect(readRef('refs/tags/v1')).toEqual({ source: 'tag', name: 'v1' })
  expect(readRef('refs/notes/x')).toBeNull()
})
