import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { type BuiltImage, pushByDigest, pushImage, type Registry } from '#buildkit-lite'
import { Digest } from '#domain/digest'
import { formatImageReference, parseImageReference } from '#domain/image-reference'

const never = new AbortController().signal
const digestOf = (text: string) => Digest.parse(`sha256:${createHash('sha256').update(text).digest('hex')}`)

function imageOf(layers: readonly string[], baseRepository: string | null = null): BuiltImage {
  return {
    manifestDigest: digestOf('manifest'),
    manifest: Buffer.from('manifest'),
    manifestMediaType: 'application/vnd.oci.image.manifest.v1+json',
    configDigest: digestOf('{}'),
    config: Buffer.from('{}'),
    layers: layers.map((text) => ({
      descriptor: { mediaType: 'layer', digest: digestOf(text), size: text.length },
      diffId: digestOf(text),
    })),
    content: { open: async () => Readable.from([]) },
    baseRepository,
    sizeBytes: 10,
  }
}

function registryOf(pushBlob: Registry['pushBlob']) {
  const manifests: string[] = []
  const registry: Registry = {
    resolve: () => Promise.reject(new Error('nothing to resolve')),
    fetchManifest: () => Promise.reject(new Error('nothing to fetch')),
    openBlob: () => Promise.reject(new Error('nothing to open')),
    hasBlob: async () => false,
    pushBlob,
    pushManifest: async (to) => void manifests.push(formatImageReference(to)),
  }
  return { registry, manifests }
}

test('an upload that fails ends the others before the push rejects, and no manifest is sent', async () => {
  const ended: string[] = []
  const { registry, manifests } = registryOf(async (_to, { digest }, signal) => {
    if (digest === digestOf('bad')) throw new Error('the disk is full')
    await once(signal, 'abort')
    await new Promise((done) => setImmediate(done))
    ended.push(digest)
    throw signal.reason
  })
  const pushing = pushByDigest(imageOf(['slow', 'bad']), parseImageReference('r.test/a/b:1'), registry, never)
  await expect(pushing).rejects.toThrow('the disk is full')
  expect(ended.sort()).toEqual([digestOf('slow'), digestOf('{}')].sort())
  expect(manifests).toEqual([])
})

test('each repository gets the manifest by its digest first, and then every tag', async () => {
  const mounts: (string | undefined)[] = []
  const { registry, manifests } = registryOf(async (_to, { mountFrom }) => void mounts.push(mountFrom))
  const names = ['r.test/a/b:1', 'other.test/c:1', 'r.test/a/b:2'].map(parseImageReference)
  await pushImage(imageOf(['layer'], 'r.test/library/base'), names, registry, never)
  expect(manifests).toEqual([
    `r.test/a/b@${digestOf('manifest')}`,
    'r.test/a/b:1',
    'r.test/a/b:2',
    `other.test/c@${digestOf('manifest')}`,
    'other.test/c:1',
  ])
  expect(mounts).toEqual(['library/base', undefined, undefined, undefined])
})
