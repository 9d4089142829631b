import { createHash, randomBytes } from 'node:crypto'
import { mkdir, mkdtempDisposable, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { run } from '#host/exec'
import { ADMIN_TOKEN, startApi, type TestApi } from '../support/api.ts'
import { startRegistry, type TestRegistry } from '../support/socket-registry.ts'

let registry: TestRegistry
let api: TestApi
let port: number
let images: Awaited<ReturnType<typeof mkdtempDisposable>>

beforeAll(async () => {
  registry = await startRegistry()
  api = await startApi({ registryUrl: registry.url })
  port = await api.listen()
  images = await mkdtempDisposable(join(tmpdir(), 'slip-images-'))
  await writeImage(join(images.path, 'one'))
})
afterAll(async () => {
  await api?.[Symbol.asyncDispose]()
  await registry?.[Symbol.asyncDispose]()
  await images?.remove()
})

const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex')

/** An OCI layout of one image whose only layer has a few incompressible MiB. */
async function writeImage(dir: string): Promise<void> {
  const blobs = join(dir, 'blobs', 'sha256')
  await mkdir(blobs, { recursive: true })
  const put = async (data: Uint8Array, mediaType: string) => {
    await writeFile(join(blobs, sha256(data)), data)
    return { mediaType, digest: `sha256:${sha256(data)}`, size: data.length }
  }
  const tar = Buffer.concat([randomBytes(3 * 1024 * 1024), Buffer.alloc(1024)])
  const layer = await put(gzipSync(tar), 'application/vnd.oci.image.layer.v1.tar+gzip')
  const config = { architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [`sha256:${sha256(tar)}`] } }
  const configBlob = await put(Buffer.from(JSON.stringify(config)), 'application/vnd.oci.image.config.v1+json')
  const mediaType = 'application/vnd.oci.image.manifest.v1+json'
  const manifest = { schemaVersion: 2, mediaType, config: configBlob, layers: [layer] }
  const descriptor = await put(Buffer.from(JSON.stringify(manifest)), mediaType)
  const annotations = { 'org.opencontainers.image.ref.name': 'latest' }
  await writeFile(
    join(dir, 'index.json'),
    JSON.stringify({ schemaVersion: 2, manifests: [{ ...descriptor, annotations }] }),
  )
  await writeFile(join(dir, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }))
}

const skopeo = (...args: string[]) => run('skopeo', ['--insecure-policy', ...args])
const push = (repository: string, token = ADMIN_TOKEN) =>
  skopeo(
    'copy',
    '-q',
    '--dest-tls-verify=false',
    '--dest-creds',
    `any:${token}`,
    `oci:${images.path}/one:latest`,
    `docker://127.0.0.1:${port}/${repository}`,
  )
const pull = (repository: string, to: string, creds: string[]) =>
  skopeo(
    'copy',
    '-q',
    '--src-tls-verify=false',
    ...creds,
    `docker://127.0.0.1:${port}/${repository}`,
    `oci:${to}:latest`,
  )
const call = (path: string, token: string | null, init: { method?: string; headers?: Record<string, string> } = {}) =>
  fetch(`http://127.0.0.1:${port}${path}`, {
    ...init,
    headers: {
      accept: 'application/vnd.oci.image.manifest.v1+json',
      ...(token ? { authorization: `Bearer ${token}` } : {}),
      ...init.headers,
    },
  })
const tokenFor = async (password: string, ...scopes: string[]) => {
  const query = scopes.map((scope) => `scope=${encodeURIComponent(scope)}`).join('&')
  const authorization = `Basic ${Buffer.from(`any:${password}`).toString('base64')}`
  const response = await fetch(`http://127.0.0.1:${port}/v2/token?service=slipway&${query}`, {
    headers: { authorization },
  })
  return ((await response.json()) as { token: string }).token
}
const grant = (repository: string, actions: ('pull' | 'push')[]) =>
  api.store.tokens.issue({ kind: 'registry', repository, actions }, 'test', 60_000)

test('skopeo pushes and pulls through the proxy', async () => {
  await push('acme/deep/web:v1')
  const to = join(images.path, 'pulled')
  await pull('acme/deep/web:v1', to, ['--src-creds', `any:${ADMIN_TOKEN}`])
  const original = await readFile(join(images.path, 'one', 'index.json'), 'utf8')
  const { digest } = JSON.parse(original).manifests[0]
  expect(JSON.parse(await readFile(join(to, 'index.json'), 'utf8')).manifests[0].digest).toBe(digest)
  const { stdout } = await skopeo(
    'list-tags',
    '--tls-verify=false',
    '--creds',
    `any:${ADMIN_TOKEN}`,
    `docker://127.0.0.1:${port}/acme/deep/web`,
  )
  expect(JSON.parse(stdout.toString()).Tags).toEqual(['v1'])
})

test('nobody pulls without a token, unless the project is public', async () => {
  await api.call('POST', '/api/v1/projects', { name: 'acme/public', visibility: 'public' })
  await push('acme/public:v1')
  await push('acme/private:v1')
  await expect(pull('acme/private:v1', join(images.path, 'no'), ['--src-no-creds'])).rejects.toThrow(
    /unauthorized|denied|token/i,
  )
  await pull('acme/public:v1', join(images.path, 'yes'), ['--src-no-creds'])
  await expect(push('acme/public:v2', 'wrong')).rejects.toThrow()
})

test.for<[string, string, RegExp]>([
  ['GET', '/v2/', /^Bearer realm="http:\/\/127\.0\.0\.1:\d+\/v2\/token",service="slipway"$/],
  ['GET', '/v2/acme/web/manifests/latest', /scope="repository:acme\/web:pull"$/],
  ['POST', '/v2/a/b/c/blobs/uploads/', /scope="repository:a\/b\/c:pull,push"$/],
  ['GET', '/v2/_catalog', /scope="registry:catalog:\*"$/],
  ['GET', '/v2/anything/else', /^Bearer/],
])('%s %s without a token names what is needed', async ([method, path, expected]) => {
  const response = await call(path, null, { method })
  expect(response.status).toBe(401)
  expect(response.headers.get('www-authenticate')).toMatch(expected)
  expect(response.headers.get('docker-distribution-api-version')).toBe('registry/2.0')
  expect(await response.json()).toMatchObject({ errors: [{ code: 'UNAUTHORIZED' }] })
})

test('a token is limited to what was asked and what its owner may', async () => {
  await push('acme/one:v1')
  await push('acme/two:v1')
  const narrow = await tokenFor(ADMIN_TOKEN, 'repository:acme/one:pull')
  expect((await call('/v2/', narrow)).status).toBe(200)
  expect((await call('/v2/acme/one/manifests/v1', narrow)).status).toBe(200)
  expect((await call('/v2/acme/two/manifests/v1', narrow)).status).toBe(401)
  expect((await call('/v2/acme/one/blobs/uploads/', narrow, { method: 'POST' })).status).toBe(401)
  expect((await call('/v2/_catalog', narrow)).status).toBe(403)
  expect((await call('/v2/_catalog', ADMIN_TOKEN)).status).toBe(200)
  const builder = await grant('acme/one', ['pull', 'push'])
  const asked = await tokenFor(builder, 'repository:acme/one:pull,push', 'repository:acme/two:pull,push')
  expect((await call('/v2/acme/one/blobs/uploads/', asked, { method: 'POST' })).status).toBe(202)
  expect((await call('/v2/acme/two/manifests/v1', asked)).status).toBe(401)
  expect((await call('/v2/acme/two/blobs/uploads/', builder, { method: 'POST' })).status).toBe(401)
  const both = await tokenFor(ADMIN_TOKEN, 'repository:acme/one:pull', 'repository:acme/two:pull')
  for (const name of ['one', 'two']) expect((await call(`/v2/acme/${name}/manifests/v1`, both)).status).toBe(200)
  const library = await grant('library/*', ['pull'])
  expect((await call('/v2/library/none/manifests/v1', library)).status).toBe(404)
  expect((await call('/v2/acme/one/manifests/v1', library)).status).toBe(401)
})

test('tokens are refused for wrong passwords', async () => {
  const authorization = `Basic ${Buffer.from('any:wrong').toString('base64')}`
  expect((await call('/v2/token?scope=repository:acme/one:pull', null, { headers: { authorization } })).status).toBe(
    401,
  )
  expect((await call('/v2/token', null)).status).toBe(401)
})

test('a mount needs the right to pull the source', async () => {
  await push('acme/source:v1')
  const manifest = (await (
    await call('/v2/acme/source/manifests/v1', ADMIN_TOKEN, {
      headers: { accept: 'application/vnd.oci.image.manifest.v1+json' },
    })
  ).json()) as { layers: { digest: string }[] }
  const path = `/v2/acme/target/blobs/uploads/?mount=${manifest.layers[0]!.digest}&from=acme/source`
  const stranger = await grant('acme/target', ['pull', 'push'])
  expect((await call(path, stranger, { method: 'POST' })).status).toBe(202)
  const friend = await tokenFor(ADMIN_TOKEN, 'repository:acme/target:pull,push', 'repository:acme/source:pull')
  const mounted = await call(path, friend, { method: 'POST' })
  expect(mounted.status).toBe(201)
  expect(mounted.headers.get('location')).toMatch(/^\/v2\/acme\/target\/blobs\/sha256:/)
})

test('only the admin deletes', async () => {
  await push('acme/gone:v1')
  const builder = await grant('acme/gone', ['pull', 'push'])
  const accept = { headers: { accept: 'application/vnd.oci.image.manifest.v1+json' } }
  const digest = (await call('/v2/acme/gone/manifests/v1', builder, accept)).headers.get('docker-content-digest')
  const path = `/v2/acme/gone/manifests/${digest}`
  expect((await call(path, builder, { method: 'DELETE' })).status).toBe(403)
  expect((await call(path, ADMIN_TOKEN, { method: 'DELETE' })).status).toBe(202)
  expect((await call('/v2/acme/gone/manifests/v1', ADMIN_TOKEN)).status).toBe(404)
})

test.for([
  '/v2/acme/one/../two/manifests/v1',
  '/v2/acme%2fone/manifests/v1',
  '/v2/acme/one/unknown/x',
  '/v2//manifests/v1',
])('%s is not passed on', async (path) => {
  const response = await api.app.inject({
    url: path,
    headers: { authorization: `Bearer ${await grant('acme/one', ['pull'])}` },
  })
  expect(response.statusCode).toBeGreaterThanOrEqual(400)
})

test('a registry that is not there is a 502', async () => {
  await using lonely = await startApi()
  const response = await lonely.app.inject({ url: '/v2/', headers: { authorization: `Bearer ${ADMIN_TOKEN}` } })
  expect(response.statusCode).toBe(502)
})
