import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { composeImage } from '../../../buildkit-lite/image/compose-image.ts'
import { packLayer } from '../../../buildkit-lite/layers/pack-layer.ts'
import { createRegistry } from '../../../buildkit-lite/registry/create-registry.ts'
import { digestOf } from '../../../buildkit-lite/registry/fetch-manifest.ts'
import { Digest, type Layer } from '../../../core/domain/digest.ts'
import { type ImageReference, parseImageReference } from '../../../core/domain/image-reference.ts'
import { run } from '../../../core/host/exec.ts'
import { startDockerRegistry, type TestRegistry } from '../../support/docker-registry.ts'

const PLATFORM = { os: 'linux', architecture: 'amd64' }
const signal = AbortSignal.timeout(60_000)
let server: TestRegistry
let dir: string

beforeAll(async () => {
  server = await startDockerRegistry()
  dir = await mkdtemp(join(tmpdir(), 'slip-push-'))
})

afterAll(async () => {
  await server[Symbol.asyncDispose]()
  await rm(dir, { recursive: true, force: true })
})

const client = () => createRegistry({ searchOrder: [server.host], credentialsFor: () => null, insecure: [] })

/** A one-layer image whose layer is an empty archive with some noise after its end. */
async function makeImage(noiseBytes: number) {
  const tar = Buffer.concat([Buffer.alloc(1024), randomBytes(noiseBytes)])
  const path = join(dir, 'layer')
  const packed = await packLayer([tar], { path, compression: 'gzip' })
  const layer: Layer = {
    descriptor: {
      mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
      digest: Digest.parse(packed.digest),
      size: packed.sizeBytes,
    },
    diffId: Digest.parse(packed.diffId),
  }
  const image = composeImage({
    plannedConfig: {
      os: 'linux',
      architecture: 'amd64',
      config: { Cmd: ['sh'] },
      rootfs: { type: 'layers', diff_ids: [] },
    },
    history: [{ created: '2026-01-01T00:00:00Z', created_by: 'RUN make noise' }],
    layers: [layer],
    created: '2026-01-01T00:00:00Z',
  })
  return { ...image, layer, blob: await readFile(path) }
}

async function pushImage(to: ImageReference, image: Awaited<ReturnType<typeof makeImage>>, mountFrom?: string) {
  const registry = client()
  let opened = 0
  const open = async () => {
    opened++
    return Readable.from([image.blob])
  }
  const { digest, size } = image.layer.descriptor
  await registry.pushBlob(to, { digest, sizeBytes: size, open, ...(mountFrom ? { mountFrom } : {}) }, signal)
  const config = { digest: image.configDigest, sizeBytes: image.config.length }
  await registry.pushBlob(to, { ...config, open: async () => Readable.from([image.config]) }, signal)
  const manifest = { bytes: image.manifest, mediaType: image.manifestMediaType, digest: image.manifestDigest }
  await registry.pushManifest(to, manifest, signal)
  return { opened }
}

test('what is pushed can be pulled by us and by skopeo, digest by digest', async () => {
  const image = await makeImage(3_000_000)
  const to = parseImageReference(`${server.host}/library/noise:1`)
  expect(await pushImage(to, image)).toEqual({ opened: 1 })

  const pulled = await client().resolve('noise:1', PLATFORM, signal)
  expect(pulled.reference).toEqual(to)
  expect(pulled.digest).toBe(image.manifestDigest)
  expect(pulled.config.config?.Cmd).toEqual(['sh'])
  const blob = await buffer(await client().openBlob(pulled.reference, pulled.layers[0]!, signal))
  expect(blob.equals(image.blob)).toBe(true)
  expect((await client().resolve(`noise@${image.manifestDigest}`, PLATFORM, signal)).digest).toBe(image.manifestDigest)

  const copy = join(dir, 'copy')
  await run('skopeo', ['copy', '--src-tls-verify=false', `docker://${server.host}/library/noise:1`, `oci:${copy}:1`])
  const inspected = await run('skopeo', ['inspect', `oci:${copy}:1`])
  expect(JSON.parse(inspected.stdout.toString()).Layers).toEqual([image.layer.descriptor.digest])
})

test('a blob the repository has is not sent again, and one of another repository is mounted', async () => {
  const image = await makeImage(10_000)
  const first = parseImageReference(`${server.host}/acme/first:1`)
  expect(await pushImage(first, image)).toEqual({ opened: 1 })
  expect(await pushImage(first, image)).toEqual({ opened: 0 })
  const second = parseImageReference(`${server.host}/acme/second:1`)
  expect(await pushImage(second, image, 'acme/first')).toEqual({ opened: 0 })
  expect(await client().hasBlob(second, image.layer.descriptor.digest, signal)).toBe(true)
})

test('a mount that the registry cannot do becomes an upload', async () => {
  const image = await makeImage(10_000)
  const to = parseImageReference(`${server.host}/acme/third:1`)
  expect(await pushImage(to, image, 'acme/nowhere')).toEqual({ opened: 1 })
})

test('an upload of 100 MB streams through', async () => {
  const piece = randomBytes(1_000_000)
  const whole = Buffer.concat(Array.from({ length: 100 }, () => piece))
  const digest = digestOf(whole)
  const to = parseImageReference(`${server.host}/acme/big:1`)
  const open = async () => Readable.from(Array.from({ length: 100 }, () => piece))
  await client().pushBlob(to, { digest, sizeBytes: whole.length, open }, signal)
  const descriptor = { mediaType: 'application/octet-stream', digest, size: whole.length }
  let sizeBytes = 0
  for await (const chunk of await client().openBlob(to, descriptor, signal)) sizeBytes += chunk.length
  expect(sizeBytes).toBe(whole.length)
})

test('what is not there is named with its registry and the registry’s own code', async () => {
  await expect(client().resolve('nothing:1', PLATFORM, signal)).rejects.toMatchObject({
    kind: 'pull-not-found',
    message: expect.stringMatching(
      /127\.0\.0\.1:\d+\/library\/nothing \(1\) failed: the registry answered 404 MANIFEST_UNKNOWN/,
    ),
  })
})

test('a source with other bytes than promised is refused by the registry', async () => {
  const to = parseImageReference(`${server.host}/acme/liar:1`)
  const open = async () => Readable.from([Buffer.from('other')])
  const pushing = client().pushBlob(to, { digest: digestOf(Buffer.from('bytes')), sizeBytes: 5, open }, signal)
  await expect(pushing).rejects.toMatchObject({
    kind: 'push-denied',
    message: expect.stringContaining('DIGEST_INVALID'),
  })
})
