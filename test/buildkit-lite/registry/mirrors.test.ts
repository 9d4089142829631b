import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { afterEach, expect, test } from 'vitest'
import { createRegistry, type RegistryOptions } from '#buildkit-lite'
import { Digest } from '#domain/digest'
import { parseImageReference } from '#domain/image-reference'

const PLATFORM = { os: 'linux', architecture: 'amd64' }
const signal = AbortSignal.timeout(60_000)
const digestOf = (bytes: Buffer) => Digest.parse(`sha256:${createHash('sha256').update(bytes).digest('hex')}`)
const cleanup: (() => void)[] = []

afterEach(() => {
  for (const close of cleanup.splice(0)) close()
})

const config = Buffer.from(
  JSON.stringify({ os: 'linux', architecture: 'amd64', rootfs: { type: 'layers', diff_ids: [] } }),
)
const manifest = Buffer.from(
  JSON.stringify({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digestOf(config), size: config.length },
    layers: null,
  }),
)

type Answer = (request: IncomingMessage, response: ServerResponse) => void
const full: Answer = ({ url }, response) => response.end(url?.includes('/manifests/') ? manifest : config)
const empty: Answer = (_, response) => response.writeHead(404).end()
const forbidden: Answer = (_, response) => response.writeHead(403).end()
const lying: Answer = (_, response) => response.end('{}')

/** A registry that answers thus, and what it was asked for. */
async function serve(answer: Answer): Promise<{ host: string; asked: string[] }> {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(request.url ?? '')
    answer(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanup.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

const client = (options: Partial<RegistryOptions>) =>
  createRegistry({ searchOrder: [], credentialsFor: () => null, insecure: [], ...options })

test('mirrors are asked in order, before the registry whose name the image keeps', async () => {
  const [first, second, home] = [await serve(empty), await serve(full), await serve(full)]
  const registry = client({ mirrors: { [home.host]: [first.host, `${second.host}/cache/of`] } })
  const pulled = await registry.resolve(`${home.host}/a/b:1`, PLATFORM, signal)
  expect(pulled.reference).toMatchObject({ registry: home.host, repository: 'a/b', tag: '1' })
  const descriptor = { mediaType: 'x', digest: digestOf(config), size: config.length }
  expect(await text(await registry.openBlob(pulled.reference, descriptor, signal))).toBe(config.toString())
  expect(first.asked[0]).toBe('/v2/a/b/manifests/1')
  expect(second.asked[0]).toBe('/v2/cache/of/a/b/manifests/1')
  expect(home.asked).toEqual([])
})

test.for<[string, Answer]>([
  ['has not the image', empty],
  ['refuses', forbidden],
  ['sends something else than the digest says', lying],
])('a mirror that %s is passed over', async ([, answer]) => {
  const [mirror, home] = [await serve(answer), await serve(full)]
  const registry = client({ mirrors: { [home.host]: [mirror.host] } })
  const pulled = await registry.resolve(`${home.host}/a/b@${digestOf(manifest)}`, PLATFORM, signal)
  expect(pulled.digest).toBe(digestOf(manifest))
  expect(mirror.asked).not.toEqual([])
})

test('what no mirror has is the registry’s own error', async () => {
  const [mirror, home] = [await serve(forbidden), await serve(empty)]
  const resolving = client({ mirrors: { [home.host]: [mirror.host] } }).resolve(`${home.host}/a/b`, PLATFORM, signal)
  await expect(resolving).rejects.toMatchObject({ kind: 'pull-not-found' })
})

test('a blocked registry is asked for nothing, by the name of the file', async () => {
  const [home, mirror] = [await serve(full), await serve(full)]
  const mirrors = { [home.host]: [mirror.host] }
  const registry = client({ blocked: [home.host], file: '/etc/registries.json', mirrors, searchOrder: [home.host] })
  for (const name of [`${home.host}/a/b:1`, 'a/b:1'])
    await expect(registry.resolve(name, PLATFORM, signal)).rejects.toMatchObject({
      kind: 'pull-denied',
      message: `Pulling ${home.host}/a/b (1) is refused: the registry ${home.host} is blocked by /etc/registries.json`,
    })
  const to = parseImageReference(`${home.host}/a/b:1`)
  const descriptor = { mediaType: 'x', digest: digestOf(config), size: config.length }
  await expect(registry.openBlob(to, descriptor, signal)).rejects.toMatchObject({ kind: 'pull-denied' })
  const blob = { digest: digestOf(config), sizeBytes: config.length, open: async () => Readable.from([config]) }
  await expect(registry.pushBlob(to, blob, signal)).rejects.toMatchObject({ kind: 'push-denied' })
  expect([...home.asked, ...mirror.asked]).toEqual([])
})
