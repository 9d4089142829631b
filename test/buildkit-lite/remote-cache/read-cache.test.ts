import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { Digest } from '#domain/digest'
import {
  CACHE_CONFIG_TYPE,
  cacheConfigOf,
  INLINE_CACHE_FIELD,
} from '../../../buildkit-lite/remote-cache/cache-config.ts'
import { composeCacheManifest } from '../../../buildkit-lite/remote-cache/cache-manifest.ts'
import { readCacheSteps } from '../../../buildkit-lite/remote-cache/read-cache.ts'

const never = new AbortController().signal
const hash = (bytes: Buffer | string): Digest =>
  Digest.parse(`sha256:${createHash('sha256').update(bytes).digest('hex')}`)
const stepOf = (name: string) => ({
  keys: [hash(`${name} key`), hash(`${name} other key`)],
  layer: {
    descriptor: { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: hash(name), size: name.length },
    diffId: hash(`${name} diff`),
  },
  createdAtMs: 1_700_000_000_123,
  input: null,
})
const below = stepOf('below')
const steps = [below, { ...stepOf('above'), input: below }]

/** A place with these small blobs, of which the first is the root. */
function placeOf(root: { bytes: Buffer; mediaType: string }, blobs: readonly Buffer[]) {
  const byDigest = new Map([root.bytes, ...blobs].map((bytes) => [hash(bytes), bytes]))
  const get = (digest: Digest): Buffer => {
    const bytes = byDigest.get(digest)
    if (!bytes) throw new Error(`no blob ${digest}`)
    return bytes
  }
  return {
    root: async () => root,
    manifest: async (digest: Digest) => {
      const bytes = get(digest)
      return { bytes, mediaType: (JSON.parse(bytes.toString()) as { mediaType: string }).mediaType }
    },
    config: async ({ digest }: { digest: Digest }) => get(digest),
  }
}

test.for([
  { imageManifest: true, ociMediaTypes: true },
  { imageManifest: false, ociMediaTypes: true },
  { imageManifest: false, ociMediaTypes: false },
])('what is written is read again: %o', async (form) => {
  const { config, manifest } = composeCacheManifest(steps, form)
  const read = await readCacheSteps(placeOf(manifest, [config.bytes]), never)
  expect([...read.keys()]).toEqual(steps.flatMap(({ keys }) => keys))
  for (const { keys, layer, createdAtMs } of steps)
    expect(read.get(keys[1] ?? '')).toMatchObject({ createdAtMs, layer: { diffId: layer.diffId } })
})

test('layers know the one below, records the step below', () => {
  const { layers, records } = cacheConfigOf(steps)
  expect(layers.map(({ parent }) => parent)).toEqual([-1, 0])
  expect(records.map(({ inputs }) => inputs)).toEqual([undefined, undefined, [[{ link: 0 }]], [[{ link: 0 }]]])
})

test('an index of images has what each of them has, but for what is said of them', async () => {
  const image = (names: string[], inline: object | null) => {
    const layers = names.map((name) => stepOf(name).layer)
    const rootfs = { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) }
    const cache = inline ? { [INLINE_CACHE_FIELD]: Buffer.from(JSON.stringify(inline)).toString('base64') } : {}
    const config = Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs, ...cache }))
    const descriptor = { mediaType: 'application/vnd.oci.image.config.v1+json', digest: hash(config), size: 1 }
    const mediaType = 'application/vnd.oci.image.manifest.v1+json'
    const descriptors = layers.map((layer) => layer.descriptor)
    const manifest = JSON.stringify({ schemaVersion: 2, mediaType, config: descriptor, layers: descriptors })
    return { config, manifest: Buffer.from(manifest), mediaType }
  }
  const images = [image(['below', 'above'], cacheConfigOf(steps)), image(['x'], null)]
  const manifests = images.map(({ manifest, mediaType }) => ({ mediaType, digest: hash(manifest), size: 1 }))
  const attestation = {
    mediaType: 'x',
    digest: hash('gone'),
    size: 1,
    platform: { os: 'unknown', architecture: 'unknown' },
  }
  const mediaType = 'application/vnd.oci.image.index.v1+json'
  const index = JSON.stringify({ schemaVersion: 2, mediaType, manifests: [...manifests, attestation] })
  const blobs = images.flatMap(({ config, manifest }) => [config, manifest])
  const read = await readCacheSteps(placeOf({ bytes: Buffer.from(index), mediaType }, blobs), never)
  expect(read.get(below.keys[0] ?? '')?.layer).toEqual(below.layer)
  expect(read.size).toBe(4)
})

test('what another builder wrote, and what names layers that are not there, is left out', async () => {
  const records = [
    { digest: hash('root') },
    {
      digest: hash('far'),
      layers: [{ layer: 7, createdAt: '2024-01-01T00:00:00Z' }],
      inputs: [[{ link: 0, selector: 's' }]],
    },
    { digest: hash('gone'), layers: [{ layer: 0, createdAt: '2024-01-01T00:00:00Z' }], output: 1 },
  ]
  const config = Buffer.from(JSON.stringify({ layers: [{ blob: hash('gone layer'), parent: -1 }], records }))
  const descriptor = { mediaType: CACHE_CONFIG_TYPE, digest: hash(config), size: config.length }
  const mediaType = 'application/vnd.oci.image.manifest.v1+json'
  const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, config: descriptor, layers: [] }))
  expect((await readCacheSteps(placeOf({ bytes: manifest, mediaType }, [config]), never)).size).toBe(0)
  const broken = placeOf({ bytes: Buffer.from('{'), mediaType }, [])
  await expect(readCacheSteps(broken, never)).rejects.toThrow('The cache is not in a form that can be read')
})
