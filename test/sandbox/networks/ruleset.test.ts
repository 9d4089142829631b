import { expect, test } from 'vitest'
import { overlap, parseSubnet } from '../../../sandbox/networks/addresses.ts'
import { removalText, rulesetText } from '../../../sandbox/networks/ruleset.ts'

const settings = {
  table: 'slip_abc',
  linkPrefix: 'slipabc',
  resolvers: ['10.255.255.53'],
  onLink: ['192.0.2.0/24'],
  podNetwork: '10.214.0.0/16',
}

test('the rules replace those of an earlier process in one transaction', () => {
  const text = rulesetText(settings)
  expect(text.startsWith(removalText('slip_abc'))).toBe(true)
  expect(text).toContain('set resolvers { type ipv4_addr; flags interval; auto-merge; elements = { 10.255.255.53 }; }')
})

test('the resolver is allowed before private addresses are denied, and neighbours are denied', () => {
  const through = rulesetText(settings).split('chain through')[1] ?? ''
  expect(through.indexOf('@resolvers')).toBeGreaterThan(0)
  expect(through.indexOf('@resolvers')).toBeLessThan(through.indexOf('@denied'))
  expect(rulesetText(settings)).toMatch(/set denied .*10\.0\.0\.0\/8.*169\.254\.0\.0\/16.*192\.0\.2\.0\/24/)
})

test('a host without a usable resolver still has valid rules', () => {
  expect(rulesetText({ ...settings, resolvers: [] })).not.toContain('{  }')
})

test.for([
  ['10.0.0.0/8', '10.213.0.0/16', true],
  ['10.213.7.9', '10.213.0.0/16', true],
  ['10.212.0.0/16', '10.213.0.0/16', false],
  ['0.0.0.0/0', '10.213.0.0/16', true],
] as const)('%s and %s', ([a, b, expected]) => expect(overlap(parseSubnet(a), parseSubnet(b))).toBe(expected))
