import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { UsageError } from '../../cli/exit-codes.ts'
import { readSecrets } from '../../cli/read-secrets.ts'

test('secrets come from files and variables', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'slip-flags-'))
  const path = join(dir.path, 'token')
  await writeFile(path, 'one')
  const flags = [
    `id=a,src=${path}`,
    `src=${path}`,
    'id=c,env=PATH',
    'id=d,type=env,src=PATH',
    `type=file,source=${path},id=e`,
  ]
  const secrets = await readSecrets([...flags, 'id=PATH'])
  const PATH = process.env['PATH']
  expect(Object.entries(secrets).map(([id, value]) => [id, value.toString()])).toEqual([
    ['a', 'one'],
    ['token', 'one'],
    ['c', PATH],
    ['d', PATH],
    ['e', 'one'],
    ['PATH', PATH],
  ])
})

test.for<[string, string]>([
  ['id=a,src=/nowhere', '--secret a cannot be read'],
  ['id=SURELY_NOT_SET', 'the environment has no SURELY_NOT_SET, and there is no file of that name'],
  ['id=a,env=SURELY_NOT_SET', 'the environment has no SURELY_NOT_SET'],
  ['id=a,type=vault', 'expected file or env'],
  ['id=a,colour=red', 'unknown field "colour"'],
  ['type=file', 'has no id'],
])('--secret %s is a mistake', async ([flag, message]) => {
  await expect(readSecrets([flag])).rejects.toThrow(UsageError)
  await expect(readSecrets([flag])).rejects.toThrow(message)
})

test('a secret has a size that fits', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'slip-flags-'))
  const path = join(dir.path, 'big')
  await writeFile(path, Buffer.alloc(500 * 1024))
  expect((await readSecrets([`src=${path}`]))['big']).toHaveLength(500 * 1024)
  await writeFile(path, Buffer.alloc(500 * 1024 + 1))
  await expect(readSecrets([`src=${path}`])).rejects.toThrow('has 512001 bytes, expected 512000 at most')
})
