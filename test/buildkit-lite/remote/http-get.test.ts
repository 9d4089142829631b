import { expect, test } from 'vitest'
import type { AddressRules } from '../../../buildkit-lite/remote/address-rules.ts'
import { getRemote } from '../../../buildkit-lite/remote/http-get.ts'
import { startFileServer } from '../../support/file-server.ts'

const never = new AbortController().signal

/** One address of the loopback stands for the internet, another one for what is private. */
const rules: AddressRules = {
  isAllowed: (address) => address === '127.0.0.1',
  check: (host, address) => {
    if (address !== '127.0.0.1') throw new Error(`${host} is private`)
  },
  checkPort: () => {},
}
const get = (url: string) => getRemote({ url: new URL(url), headers: {}, authorization: null }, rules, never)

test.for(['http://127.0.0.2:1/', 'http://[::1]:1/latest/meta-data'])(
  'a redirect to %s is refused',
  async (location) => {
    await using server = await startFileServer((_, response) => response.writeHead(301, { location }).end())
    await expect(get(server.origin)).rejects.toThrow('is private')
  },
)

test('a name is reached at the addresses that are allowed, and never at others', async () => {
  await using server = await startFileServer((_, response) => response.end('hello'))
  const named = server.origin.replace('127.0.0.1', 'localhost')
  const { status, body } = await get(named)
  body.destroy()
  expect(status).toBe(200)
  const refused = getRemote(
    { url: new URL(named), headers: {}, authorization: null },
    { ...rules, isAllowed: () => false },
    never,
  )
  await expect(refused).rejects.toThrow('which builds may not reach')
  expect(server.requests).toHaveLength(1)
})
