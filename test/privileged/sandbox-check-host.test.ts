import { existsSync, readdirSync } from 'node:fs'
import { expect, test } from 'vitest'
import { checkHost } from '#sandbox'

test('this host has all that a sandbox needs, and looking changes nothing', async () => {
  const before = readdirSync('/var/tmp')
  const checks = await checkHost('/var/tmp/slip-not-there/yet')
  expect(checks.filter(({ state }) => state === 'missing')).toEqual([])
  expect(checks.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['root', 'overlayfs', 'cgroups', 'runc', 'nft', 'ip', 'namespaces', 'disk space']),
  )
  for (const { state, remedy } of checks) expect(remedy === null).toBe(state === 'ok')
  expect(existsSync('/var/tmp/slip-not-there')).toBe(false)
  expect(readdirSync('/var/tmp').filter((name) => name.startsWith('slip-doctor'))).toEqual(
    before.filter((name) => name.startsWith('slip-doctor')),
  )
})
