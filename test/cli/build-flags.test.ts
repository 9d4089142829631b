import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readHosts, readPairs, readSecrets } from '../../cli/build-flags.ts'
import { UsageError } from '../../cli/exit-codes.ts'
import { readContexts } from '../../cli/read-contexts.ts'

test('pairs keep what is behind the first =, and a build-arg alone takes the environment’s value', () => {
  expect(readPairs('--build-arg', ['A=b=c', 'B=', 'SURELY_NOT_SET'])).toEqual({ A: 'b=c', B: '' })
  expect(readPairs('--build-arg', ['PATH'])['PATH']).toBe(process.env['PATH'])
  expect(readPairs('--label', ['a'])).toEqual({ a: '' })
  expect(() => readPairs('--label', ['=x'])).toThrow(UsageError)
})

test('secrets come from files and variables', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'slip-flags-'))
  const path = join(dir.path, 'token')
  await writeFile(path, 'one')
  const secrets = await readSecrets([`id=a,src=${path}`, `src=${path}`, 'id=c,env=PATH'])
  expect(Object.entries(secrets).map(([id, value]) => [id, value.toString()])).toEqual([
    ['a', 'one'],
    ['token', 'one'],
    ['c', process.env['PATH']],
  ])
  await expect(readSecrets(['id=a,src=/nowhere'])).rejects.toThrow(UsageError)
  await expect(readSecrets(['id=SURELY_NOT_SET'])).rejects.toThrow('the environment has no SURELY_NOT_SET')
})

test.for<[string, object]>([
  ['db:10.0.0.1', { name: 'db', address: '10.0.0.1' }],
  ['db=10.0.0.1', { name: 'db', address: '10.0.0.1' }],
  ['db:[::1]', { name: 'db', address: '::1' }],
])('--add-host %s', ([flag, expected]) => {
  expect(readHosts([flag])).toEqual([expected])
})

test.for(['db', 'db:nowhere', ':1.2.3.4'])('--add-host %s is a mistake', (flag) => {
  expect(() => readHosts([flag])).toThrow(UsageError)
})

test('contexts are directories, layouts and images', async () => {
  await using stack = new AsyncDisposableStack()
  const contexts = await readContexts(
    ['a=oci-layout:///x/y', 'b=oci-layout:///x/y:v1', 'c=docker-image://alpine:3', `d=${tmpdir()}`],
    stack,
  )
  expect(contexts).toMatchObject({
    a: { kind: 'oci-layout', path: '/x/y', reference: null },
    b: { kind: 'oci-layout', path: '/x/y', reference: 'v1' },
    c: { kind: 'image', reference: 'alpine:3' },
    d: { kind: 'context' },
  })
  await expect(readContexts(['e=https://example.com/x.git'], stack)).rejects.toThrow('not supported yet')
})
