import { createHash } from 'node:crypto'
import { mkdir, mkdtempDisposable, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { Descriptor } from '#domain/digest'
import { run } from '#host/exec'
import type { Registry } from '../../../buildkit-lite/registry/contract.ts'
import { openSourceBlob } from '../../../buildkit-lite/solver/image-blobs.ts'
import { resolveLayoutImage } from '../../../buildkit-lite/solver/oci-layout.ts'

const never = new AbortController().signal
const TYPE = 'application/vnd.oci.image'

interface Layout extends AsyncDisposable {
  dir: string
  put(content: string, more?: object): Promise<Descriptor>
  /** One manifest whose only layer holds this text. */
  image(layer: string, architecture: string, more?: object): Promise<Descriptor>
  index(manifests: readonly Descriptor[]): Promise<void>
}

async function createLayout(): Promise<Layout> {
  const work = await mkdtempDisposable(join(tmpdir(), 'slip-layout-'))
  const dir = join(work.path, 'layout')
  await mkdir(join(dir, 'blobs/sha256'), { recursive: true })
  const put: Layout['put'] = async (content, more = {}) => {
    const hex = createHash('sha256').update(content).digest('hex')
    await writeFile(join(dir, 'blobs/sha256', hex), content)
    return Descriptor.parse({ mediaType: 'x', digest: `sha256:${hex}`, size: content.length, ...more })
  }
  return {
    dir,
    put,
    image: async (layer, architecture, more = {}) => {
      const layers = [await put(layer)]
      const diff_ids = layers.map(({ digest }) => digest)
      const config = await put(JSON.stringify({ os: 'linux', architecture, rootfs: { type: 'layers', diff_ids } }))
      return await put(JSON.stringify({ config, layers }), { mediaType: `${TYPE}.manifest.v1+json`, ...more })
    },
    index: async (manifests) => await writeFile(join(dir, 'index.json'), JSON.stringify({ manifests })),
    [Symbol.asyncDispose]: () => work[Symbol.asyncDispose](),
  }
}

const platform = (architecture: string, variant?: string) => ({ platform: { os: 'linux', architecture, variant } })

async function layerOf(path: string, architecture: string, reference: string | null = null): Promise<string> {
  const { layers, source } = await resolveLayoutImage({ path, reference }, { os: 'linux', architecture })
  const [layer] = layers
  if (!layer) throw new Error('no layer')
  return await text(await openSourceBlob(source, layer.descriptor, {} as Registry, never))
}

test.for(['directory', 'tar', 'tar with ./ names'])('the image of a platform is found in a %s', async (kind) => {
  await using layout = await createLayout()
  await layout.index([
    await layout.image('for arm', 'arm64', platform('arm64', 'v8')),
    await layout.image('for amd', 'amd64', platform('amd64', 'v1')),
  ])
  const path = kind === 'directory' ? layout.dir : `${layout.dir}.tar`
  if (kind !== 'directory')
    await run('tar', ['-C', layout.dir, '-cf', path, ...(kind === 'tar' ? ['index.json', 'blobs'] : ['.'])])
  expect(await layerOf(path, 'arm64')).toBe('for arm')
  expect(await layerOf(path, 'amd64')).toBe('for amd')
  await expect(layerOf(path, 's390x')).rejects.toMatchObject({
    kind: 'pull-not-found',
    message: expect.stringContaining('has no image for linux/s390x, only linux/arm64, linux/amd64'),
  })
})

test('the nearest variant is taken, and a single image whatever it is for', async () => {
  await using layout = await createLayout()
  const [v6, v5] = [
    await layout.image('v6', 'arm', platform('arm', 'v6')),
    await layout.image('v5', 'arm', platform('arm', 'v5')),
  ]
  await layout.index([v5, v6, await layout.image('plain', 'amd64', platform('amd64'))])
  const find = async (architecture: string, variant: string) => {
    const wanted = { os: 'linux', architecture, variant }
    return (await resolveLayoutImage({ path: layout.dir, reference: null }, wanted)).manifestDigest
  }
  expect(await find('arm', 'v7')).toBe(v6.digest)
  expect(await find('arm', 'v5')).toBe(v5.digest)
  expect(await layerOf(layout.dir, 'amd64')).toBe('plain')
  await expect(find('s390x', '')).rejects.toThrow('only linux/arm/v5, linux/arm/v6, linux/amd64')
  await layout.index([v5])
  expect(await find('s390x', '')).toBe(v5.digest)
})

test('an image is found by its name and by its digest', async () => {
  await using layout = await createLayout()
  const named = { annotations: { 'org.opencontainers.image.ref.name': 'v2' } }
  const [one, two] = [await layout.image('one', 'amd64'), await layout.image('two', 'amd64', named)]
  await layout.index([one, two])
  expect(await layerOf(layout.dir, 'amd64')).toBe('one')
  expect(await layerOf(layout.dir, 'amd64', 'v2')).toBe('two')
  expect(await layerOf(layout.dir, 'amd64', two.digest)).toBe('two')
  await expect(layerOf(layout.dir, 'amd64', 'v3')).rejects.toThrow('has no image v3')
})

test.for([
  ['nothing', null, /cannot be read: .*ENOENT/],
  ['a file that is no archive', 'x'.repeat(600), /cannot be read: The archive has no tar header/],
  ['an empty file', '', /has no index\.json/],
] as const)('%s is no layout', async ([, content, message]) => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'slip-layout-'))
  const path = join(dir.path, 'layout.tar')
  if (content !== null) await writeFile(path, content)
  await expect(layerOf(path, 'amd64')).rejects.toMatchObject({
    kind: 'pull-not-found',
    message: expect.stringMatching(message),
  })
})
