import { mkdir, mkdtempDisposable, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openSharedLayers, pushImage, type Registry } from '#buildkit-lite'
import { parseImageReference } from '#domain/image-reference'
import { type BuildBench, openBuildBench } from './build-bench.ts'
import { never } from './busybox.ts'

let first: BuildBench
let second: BuildBench

beforeAll(async () => {
  first = await openBuildBench('shared1')
})
afterAll(async () => await first?.[Symbol.asyncDispose]())

const DOCKERFILE = [
  'FROM busybox AS tools',
  'RUN echo made once > /tool',
  'FROM busybox',
  'COPY f /f',
  'RUN --mount=from=tools,source=/tool,target=/t cat /t /f > /out',
]

/** Another machine with nothing on its disk: it shares the index and the registry with the first. */
async function withSecond(work: () => Promise<void>): Promise<void> {
  await using machine = await openBuildBench('shared2', first)
  second = machine
  await work()
}

/** Builds on one of the machines, in a repository of its own. */
async function buildOn(bench: BuildBench, repository: string, lines: readonly string[], registry?: Registry) {
  await using dir = await mkdtempDisposable(join(bench.dataDir, 'context-'))
  await mkdir(join(dir.path, 'context'))
  await writeFile(join(dir.path, 'context', 'Dockerfile'), `${lines.join('\n')}\n`)
  await writeFile(join(dir.path, 'context', 'f'), 'from the context')
  const home = parseImageReference(`${bench.host}/${repository}`)
  const losses: string[] = []
  const tools = { ...bench.tools, cache: first.tools.cache, registry: registry ?? bench.tools.registry }
  const shared = openSharedLayers(tools, home, ({ message }) => losses.push(message), never)
  const { blobs, cache } = shared
  const change = { cacheScope: repository, subject: repository }
  const built = await bench.buildDirectory(join(dir.path, 'context'), change, { ...tools, blobs, cache })
  const share = async () => {
    await pushImage(built.image, [home], bench.tools.registry, never)
    for (const { descriptor } of shared.worthSharing()) {
      const { digest, size: sizeBytes } = descriptor
      const open = () => bench.tools.blobs.read(digest, never)
      await bench.tools.registry.pushBlob(home, { digest, sizeBytes, open }, never)
    }
  }
  return { ...built, losses, share }
}

const blobsOn = async (bench: BuildBench) => await readdir(join(bench.dataDir, 'blobs', 'sha256'))

test('a machine with an empty disk runs and pulls nothing of what another has built', async () => {
  const one = await buildOn(first, 'team/all', DOCKERFILE)
  await one.share()
  await withSecond(async () => {
    const two = await buildOn(second, 'team/all', DOCKERFILE)
    expect(two.ran).toEqual([])
    expect(two.image.manifestDigest).toBe(one.image.manifestDigest)
    expect(await blobsOn(second)).toEqual([])
  })
})

test('what is built on top runs on layers that come when they are needed', async () => {
  await (await buildOn(first, 'team/top', DOCKERFILE)).share()
  await withSecond(async () => {
    const tools = 'RUN --mount=from=tools,source=/tool,target=/t cat /t /out > /more'
    const two = await buildOn(second, 'team/top', [...DOCKERFILE, tools])
    expect(two.ran).toEqual([tools])
    expect(await second.readInside(two.image, 'more')).toBe('made once\nmade once\nfrom the context')
  })
})

test.for<[string, (real: Registry) => Partial<Registry>]>([
  ['are gone', () => ({ hasBlob: async () => false })],
  ['cannot be asked for', () => ({ hasBlob: () => Promise.reject(new Error('no answer')) })],
  ['are broken', () => ({ hasBlob: async () => true, openBlob: async () => Readable.from([Buffer.from('x')]) })],
])('steps whose layers %s run again, and the build succeeds', async ([name, change]) => {
  const repository = `team/${name.replaceAll(' ', '-')}`
  await (await buildOn(first, repository, DOCKERFILE)).share()
  await withSecond(async () => {
    const real = second.tools.registry
    const home = parseImageReference(`${second.host}/${repository}`).repository
    const changed = change(real)
    // Only the cache is ill: the base image comes as ever.
    const registry: Registry = {
      ...real,
      hasBlob: (to, ...rest) =>
        to.repository === home && changed.hasBlob ? changed.hasBlob(to, ...rest) : real.hasBlob(to, ...rest),
      openBlob: (from, ...rest) =>
        from.repository === home && changed.openBlob ? changed.openBlob(from, ...rest) : real.openBlob(from, ...rest),
    }
    const last = 'RUN cat /out > /last'
    const two = await buildOn(second, repository, [...DOCKERFILE, last], registry)
    expect(two.ran).toContain(last)
    expect(two.losses.length > 0).toBe(name === 'are broken')
    expect(await second.readInside(two.image, 'last')).toBe('made once\nfrom the context')
  })
})

test('a layer that the disk has spoilt is had again', async () => {
  const { image, share } = await buildOn(first, 'team/disk', DOCKERFILE)
  await share()
  await withSecond(async () => {
    for (const { descriptor } of image.layers) {
      const name = descriptor.digest.replace('sha256:', '')
      await writeFile(join(second.dataDir, 'blobs/sha256', name), 'spoilt')
    }
    const last = 'RUN cat /out > /last'
    const whole = await buildOn(second, 'team/disk', [...DOCKERFILE, last])
    // It begins anew for each layer that is found to be broken.
    expect(new Set(whole.ran)).toEqual(new Set([last]))
    expect(await second.readInside(whole.image, 'last')).toBe('made once\nfrom the context')
  })
})
