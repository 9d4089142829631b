import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { Digest } from '#domain/digest'
import { parseImageReference } from '#domain/image-reference'
import { createRegistry } from '../../../buildkit-lite/registry/create-registry.ts'

const blob = Digest.parse(`sha256:${'a'.repeat(64)}`)

test('more requests than connections are turned away at first, and all get their token', async () => {
  const server = createServer((request, response) => {
    const here = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    if (request.url?.startsWith('/token')) response.end(JSON.stringify({ token: 'given', expires_in: 300 }))
    else if (request.headers.authorization === 'Bearer given') response.end()
    else response.writeHead(401, { 'www-authenticate': `Bearer realm="${here}/token",service="test"` }).end('no')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const registry = createRegistry({
    searchOrder: [],
    insecure: [],
    credentialsFor: () => ({ username: 'a', password: 'b' }),
  })
  const to = parseImageReference(`${host}/acme/web`)

  const asked = Array.from({ length: 40 }, () => registry.hasBlob(to, blob, AbortSignal.timeout(5000)))

  expect(await Promise.all(asked)).toEqual(Array.from({ length: 40 }, () => true))
  server.closeAllConnections()
  server.close()
})
