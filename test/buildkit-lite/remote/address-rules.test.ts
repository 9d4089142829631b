import { networkInterfaces } from 'node:os'
import { expect, test } from 'vitest'
import { createAddressRules } from '../../../buildkit-lite/remote/address-rules.ts'

const rules = createAddressRules({ allowPrivate: false })
const own = Object.values(networkInterfaces()).flatMap((addresses) => (addresses ?? []).map((one) => one.address))

test.for([
  '127.0.0.1',
  '127.8.8.8',
  '0.0.0.0',
  '10.1.2.3',
  '172.31.255.255',
  '192.168.0.1',
  '169.254.169.254',
  '100.64.0.1',
  '224.0.0.1',
  '255.255.255.255',
  '::1',
  '::',
  'fe80::1',
  'fd00:ec2::254',
  'fc00::1',
  'ff02::1',
  '::ffff:127.0.0.1',
  '::ffff:8.8.8.8',
  '64:ff9b::7f00:1',
  '2002:7f00:1::',
  '2001:0:1::',
  ...own,
])('%s is refused', (address) => {
  expect(rules.isAllowed(address)).toBe(false)
  expect(() => rules.check('a.example', address)).toThrow('which builds may not reach')
})

test.for(['1.1.1.1', '93.184.215.14', '172.32.0.1', '2606:4700::1111'])('%s is allowed', (address) => {
  expect(rules.isAllowed(address)).toBe(true)
})

test('whoever is trusted may go anywhere', () => {
  const trusted = createAddressRules({ allowPrivate: true })
  expect(trusted.isAllowed('127.0.0.1')).toBe(true)
  expect(() => trusted.checkPort(new URL('http://h:25'))).not.toThrow()
})

test('mail ports are refused', () => {
  expect(() => rules.checkPort(new URL('http://1.1.1.1:25/'))).toThrow('mail ports')
})
