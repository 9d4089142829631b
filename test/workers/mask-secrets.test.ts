import { expect, test } from 'vitest'
import { maskOf } from '../../workers/mask-secrets.ts'

const secret = 'p@ss "word"/1'

test.for([
  ['plain', secret],
  ['in a URL', encodeURIComponent(secret)],
  ['in JSON', JSON.stringify(secret)],
  ['as hex', Buffer.from(secret).toString('hex')],
  ['as base64', Buffer.from(secret).toString('base64')],
  ['as base64, one byte in', Buffer.from(`a${secret}bc`).toString('base64')],
  ['as base64, two bytes in', Buffer.from(`ab${secret}c`).toString('base64')],
  ['as base64 for URLs', Buffer.from(`abc${secret}c`).toString('base64url')],
])('a secret is masked %s', ([, text]) => {
  const masked = maskOf([secret]).apply(`before ${text} after`)
  expect(masked).toContain('***')
  expect(masked).toMatch(/^before .* after$/)
  expect(masked).not.toContain(text!.slice(6, -6))
})

test('a secret that begins another leaves nothing of it', () => {
  expect(maskOf(['abcdef', 'abcdefghijkl']).apply('x abcdefghijkl y abcdef z')).toBe('x *** y *** z')
})

test('each line of a secret of many lines is masked', () => {
  const key = '-----BEGIN KEY-----\nMIIEvQIBADAN\nBgkqhkiG9w0B\n-----END KEY-----'
  expect(maskOf([key]).apply('log: BgkqhkiG9w0B')).toBe('log: ***')
})

test('short values are not masked', () => {
  expect(maskOf(['no']).apply('nothing')).toBe('nothing')
})

test('the beginning of a secret is held back', () => {
  const { heldBack } = maskOf(['secret-value'])
  expect(heldBack('say secret-va')).toBe('secret-va'.length)
  expect(heldBack('say something')).toBe(0)
})
