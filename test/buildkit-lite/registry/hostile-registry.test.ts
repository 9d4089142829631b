import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { afterEach, expect, test } from 'vitest'
import type { RegistryOptions } from '../../../buildkit-lite/registry/contract.ts'
import { createRegistry } from '../../../buildkit-lite/registry/create-registry.ts'
import { digestOf } from '../../../buildkit-lite/registry/fetch-manifest.ts'
import { parseImageReference } from '../../../core/domain/image-reference.ts'

const PLATFORM = { os: 'linux', architecture: 'amd64' }
const signal = AbortSignal.timeout(60_000)
const open: { close(): void }[] = []

afterEach(() => {
  for (const server of open.splice(0)) server.close()
})

type Handler = (request: IncomingMessage, response: ServerResponse) => void

async function serve(handler: Handler): Promise<string> {
  const server = createServer(handler)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  open.push({
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

function client(options: Partial<RegistryOptions> = {}) {
  return createRegistry({ searchOrder: [], credentialsFor: () => null, insecure: [], ...options })
}

const config = Buffer.from(
  JSON.stringify({ os: 'linux', architecture: 'amd64', rootfs: { type: 'layers', diff_ids: [] } }),
)
const manifestType = 'application/vnd.oci.image.manifest.v1+json'
const manifest = Buffer.from(
  JSON.stringify({
    schemaVersion: 2,
    mediaType: manifestType,
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digestOf(config), size: config.length },
    layers: null,
  }),
)

/** Serves the image above under every name. */
function goodRegistry(request: IncomingMessage, response: ServerResponse): void {
  response.end(request.url?.includes('/manifests/') ? manifest : config)
}

test('an image without layers is accepted', async () => {
  const host = await serve(goodRegistry)
  const pulled = await client().resolve(`${host}/a/b:1`, PLATFORM, signal)
  expect(pulled).toMatchObject({ layers: [], digest: digestOf(manifest), configDigest: digestOf(config) })
})

test.for<[string, RegExp, Handler]>([
  [
    'a manifest with another digest',
    /has the digest sha256:.*expected/,
    (_, response) => response.end(Buffer.from('{}')),
  ],
  [
    'a manifest without end',
    /more than 4194304 bytes/,
    (_, response) => {
      const more = () => response.write(Buffer.alloc(1_000_000, 0x20), (error) => (error ? null : more()))
      more()
    },
  ],
])('%s is refused', async ([, message, handler]) => {
  const host = await serve(handler)
  const resolving = client().resolve(`${host}/a/b@${digestOf(manifest)}`, PLATFORM, signal)
  await expect(resolving).rejects.toMatchObject({
    kind: 'registry-unavailable',
    message: expect.stringMatching(message),
  })
})

test('a config with another digest is refused', async () => {
  const host = await serve((request, response) =>
    response.end(request.url?.includes('/manifests/') ? manifest : Buffer.from('{"os":"evil"}')),
  )
  await expect(client().resolve(`${host}/a/b:1`, PLATFORM, signal)).rejects.toThrow(/its config has the digest/)
})

test.for<[string, RegExp, Buffer]>([
  ['other bytes', /has the digest sha256/, Buffer.from('evil!')],
  ['more bytes', /more than the expected 5 bytes/, Buffer.from('bytes and more')],
])('a blob with %s is refused while it is read', async ([, message, sent]) => {
  const host = await serve((_, response) => response.end(sent))
  const descriptor = { mediaType: 'x', digest: digestOf(Buffer.from('bytes')), size: 5 }
  const blob = await client().openBlob(parseImageReference(`${host}/a/b`), descriptor, signal)
  await expect(buffer(blob)).rejects.toThrow(message)
})

test('a download that breaks off goes on where it broke', async () => {
  const content = Buffer.alloc(300_000, 'slipway')
  const ranges: (string | undefined)[] = []
  const host = await serve((request, response) => {
    ranges.push(request.headers.range)
    const start = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0)
    response.writeHead(start === 0 ? 200 : 206, {
      'content-length': content.length - start,
      ...(start === 0 ? {} : { 'content-range': `bytes ${start}-${content.length - 1}/${content.length}` }),
    })
    if (ranges.length === 3) response.end(content.subarray(start))
    else response.write(content.subarray(start, start + 100_000), () => response.destroy())
  })
  const descriptor = { mediaType: 'x', digest: digestOf(content), size: content.length }
  const blob = await client().openBlob(parseImageReference(`${host}/a/b`), descriptor, signal)
  expect((await buffer(blob)).equals(content)).toBe(true)
  expect(ranges).toEqual([undefined, 'bytes=100000-', 'bytes=200000-'])
})

test('busy answers are tried again', async () => {
  let requests = 0
  const host = await serve((request, response) => {
    if (++requests <= 2) response.writeHead(requests === 1 ? 503 : 429).end()
    else goodRegistry(request, response)
  })
  await client().resolve(`${host}/a/b:1`, PLATFORM, signal)
  expect(requests).toBe(4)
})

test('a token is fetched once with the credentials and used from then on', async () => {
  const seen: string[] = []
  const host = await serve((request, response) => {
    seen.push(`${request.url?.split('?')[0]} ${request.headers.authorization ?? '-'}`)
    if (request.url?.startsWith('/token')) {
      expect(new URL(request.url, 'http://x').searchParams.getAll('scope')).toEqual(['repository:a/b:pull'])
      response.end(JSON.stringify({ token: 'T', expires_in: 300 }))
    } else if (request.headers.authorization === 'Bearer T') goodRegistry(request, response)
    else response.writeHead(401, { 'www-authenticate': `Bearer realm="http://${host}/token",service="s"` }).end()
  })
  const credentialsFor = () => ({ username: 'u', password: 'p' })
  await client({ credentialsFor }).resolve(`${host}/a/b:1`, PLATFORM, signal)
  expect(seen).toEqual([
    '/v2/a/b/manifests/1 -',
    `/token Basic ${Buffer.from('u:p').toString('base64')}`,
    '/v2/a/b/manifests/1 Bearer T',
    `/v2/a/b/blobs/${digestOf(config)} Bearer T`,
  ])
})

test('credentials are not shown to a token service elsewhere', async () => {
  const asked: string[] = []
  const thief = await serve((request, response) => {
    asked.push(request.headers.authorization ?? '-')
    response.end('{"token":"T"}')
  })
  const host = await serve((_, response) =>
    response.writeHead(401, { 'www-authenticate': `Bearer realm="http://${thief}/token"` }).end(),
  )
  const credentialsFor = () => ({ username: 'u', password: 'p' })
  await expect(client({ credentialsFor }).resolve(`${host}/a/b:1`, PLATFORM, signal)).rejects.toMatchObject({
    kind: 'pull-denied',
    message: expect.stringContaining(`its token service is http://${thief}/token`),
  })
  expect(asked).toEqual([])
})

test('a redirect takes the request elsewhere, but not the credentials', async () => {
  const content = Buffer.from('bytes')
  const seen: string[] = []
  const storage = await serve((request, response) => {
    seen.push(request.headers.authorization ?? '-')
    response.end(content)
  })
  const host = await serve((request, response) => {
    if (!request.headers.authorization) response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end()
    else response.writeHead(307, { location: `http://${storage}/blob` }).end()
  })
  const credentialsFor = () => ({ username: 'u', password: 'p' })
  const descriptor = { mediaType: 'x', digest: digestOf(content), size: 5 }
  const blob = await client({ credentialsFor }).openBlob(parseImageReference(`${host}/a/b`), descriptor, signal)
  expect(await buffer(blob)).toEqual(content)
  expect(seen).toEqual(['-'])
})

test('redirects in a circle end', async () => {
  const host = await serve((request, response) => response.writeHead(302, { location: request.url ?? '/' }).end())
  await expect(client().resolve(`${host}/a/b:1`, PLATFORM, signal)).rejects.toThrow(/leads to .* which is refused/)
})

test('a refusal says who refused and why', async () => {
  const host = await serve((_, response) =>
    response.writeHead(403).end(JSON.stringify({ errors: [{ code: 'DENIED', message: 'not\nyours' }] })),
  )
  await expect(client().resolve(`${host}/a/b:1`, PLATFORM, signal)).rejects.toMatchObject({
    kind: 'pull-denied',
    message: `Pulling ${host}/a/b (1) failed: the registry answered 403 DENIED: not yours`,
  })
  const blob = { digest: digestOf(config), sizeBytes: config.length, open: async () => Readable.from([config]) }
  const pushing = client().pushBlob(parseImageReference(`${host}/a/b`), blob, signal)
  await expect(pushing).rejects.toMatchObject({ kind: 'push-denied' })
})

test('an interrupted upload opens its source again', async () => {
  let puts = 0
  let opened = 0
  const host = await serve((request, response) => {
    if (request.method === 'HEAD') response.writeHead(404).end()
    else if (request.method === 'POST') response.writeHead(202, { location: '/upload?state=1' }).end()
    else if (++puts === 1) request.destroy()
    else request.resume().on('end', () => response.writeHead(201).end())
  })
  const source = async () => {
    opened++
    return Readable.from([config])
  }
  const blob = { digest: digestOf(config), sizeBytes: config.length, open: source }
  await client().pushBlob(parseImageReference(`${host}/a/b`), blob, signal)
  expect({ puts, opened }).toEqual({ puts: 2, opened: 2 })
})

test('an unqualified name is looked for in order, past registries without it', async () => {
  const empty = await serve((_, response) => response.writeHead(404).end())
  const full = await serve(goodRegistry)
  const pulled = await client({ searchOrder: [empty, full] }).resolve('debian', PLATFORM, signal)
  expect(pulled.reference).toMatchObject({ registry: full, repository: 'library/debian', tag: 'latest' })
})

test('an unqualified name is not looked for past a registry that refuses', async () => {
  const closed = await serve((_, response) => response.writeHead(401).end())
  const full = await serve(goodRegistry)
  const resolving = client({ searchOrder: [closed, full] }).resolve('debian', PLATFORM, signal)
  await expect(resolving).rejects.toMatchObject({ kind: 'pull-denied' })
})

test('an abort ends a download with its reason', async () => {
  const controller = new AbortController()
  const host = await serve((_, response) => {
    response.write('by')
  })
  const descriptor = { mediaType: 'x', digest: digestOf(Buffer.from('bytes')), size: 5 }
  const blob = await client().openBlob(parseImageReference(`${host}/a/b`), descriptor, controller.signal)
  blob.once('data', () => controller.abort(new Error('cancelled by a person')))
  await expect(buffer(blob)).rejects.toThrow('cancelled by a person')
})

test('an index leads to the manifest of the platform', async () => {
  const entry = (architecture: string, digest: string, variant?: string) => ({
    mediaType: manifestType,
    digest,
    size: manifest.length,
    platform: { os: 'linux', architecture, ...(variant ? { variant } : {}) },
  })
  const index = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.index.v1+json',
      manifests: [
        entry('amd64', digestOf(Buffer.from('other'))),
        entry('unknown', digestOf(Buffer.from('attestation'))),
        entry('arm64', digestOf(manifest), 'v8'),
      ],
    }),
  )
  const host = await serve((request, response) => {
    if (request.url?.endsWith('/manifests/1')) response.end(index)
    else goodRegistry(request, response)
  })
  const pulled = await client().resolve(`${host}/a/b:1`, { os: 'linux', architecture: 'aarch64' }, signal)
  expect(pulled.digest).toBe(digestOf(manifest))
  await expect(client().resolve(`${host}/a/b:1`, { os: 'linux', architecture: 's390x' }, signal)).rejects.toMatchObject(
    {
      kind: 'pull-not-found',
      message: expect.stringContaining('has no image for linux/s390x, only for linux/amd64'),
    },
  )
})
