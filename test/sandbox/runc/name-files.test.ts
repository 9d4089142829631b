import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { findResolver, hostsText, parseResolvConf } from '../../../sandbox/runc/name-files.ts'

test('keeps what a container can use', () => {
  const { addresses, text } = parseResolvConf(
    '# local\nnameserver 127.0.0.53\nnameserver  10.0.0.2\nnameserver fd00::1\nsearch a.b c.d\noptions edns0\nsortlist x\n',
  )
  expect(addresses).toEqual(['10.0.0.2'])
  expect(text).toBe('nameserver 10.0.0.2\nsearch a.b c.d\noptions edns0\n')
})

test('looks behind a local resolver, and in the end asks public ones', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'slip-names-'))
  const [stub, real] = [join(dir, 'stub'), join(dir, 'real')]
  writeFileSync(stub, 'nameserver 127.0.0.53\n')
  writeFileSync(real, 'nameserver 192.0.2.7\n')
  expect(await findResolver([stub, real])).toMatchObject({ addresses: ['192.0.2.7'], isFallback: false })
  expect(await findResolver([stub, join(dir, 'missing')])).toMatchObject({
    isFallback: true,
    text: expect.stringContaining('nameserver'),
  })
  rmSync(dir, { recursive: true })
})

test('names the container in its hosts file', () => {
  expect(hostsText('web-1', '10.214.0.3')).toMatch(/^127.0.0.1\tlocalhost\n[^]*10.214.0.3\tweb-1\n$/)
  expect(hostsText('web-1', null)).toMatch(/^127.0.0.1\tlocalhost web-1\n/)
  expect(hostsText('', null)).toMatch(/^127.0.0.1\tlocalhost\n/)
})
