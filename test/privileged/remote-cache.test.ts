import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  type BuiltResult,
  type CacheTarget,
  DEFAULT_IMAGE_SETTINGS,
  exportCaches,
  importCaches,
  pushResult,
  readCacheSource,
  readCacheTarget,
} from '#buildkit-lite'
import { parseImageReference } from '#domain/image-reference'
import { run } from '#host/exec'
import { type BuildBench, openBuildBench } from './build-bench.ts'
import { never } from './busybox.ts'

const FILES = {
  in: 'in\n',
  Dockerfile: [
    'FROM busybox AS tools',
    'RUN echo tool > /tool',
    'FROM busybox',
    'COPY in /in',
    'RUN cat /in > /out',
    'COPY --from=tools /tool /tool',
    'RUN cat /tool >> /out',
  ].join('\n'),
}
const PLATFORM = ['linux/amd64']

let first: BuildBench
let machines = 0

beforeAll(async () => {
  first = await openBuildBench('cache')
})
afterAll(async () => await first?.[Symbol.asyncDispose]())

interface Machine extends AsyncDisposable {
  warnings: string[]
  build(
    files?: Record<string, string>,
    asked?: { inlineCache?: boolean; everyStage?: boolean },
  ): Promise<{ result: BuiltResult; steps: string[] }>
  save(result: BuiltResult, targets: readonly CacheTarget[]): Promise<void>
  readOut(result: BuiltResult): Promise<string>
  /** The layers that it has, in number. */
  blobs(): Promise<number>
}

/** A machine that never built anything, and takes steps from these caches. */
async function openMachine(sources: readonly Record<string, string>[]): Promise<Machine> {
  const bench = await openBuildBench(`cache-${machines++}`, first)
  const { tools } = bench
  const warnings: string[] = []
  const warn = (message: string): void => void warnings.push(message)
  const read = sources.map(({ type = '', ...fields }) => readCacheSource({ type, fields }))
  Object.assign(tools, await importCaches(read, { ...tools }, warn, never))
  return {
    warnings,
    build: async (files = FILES, { inlineCache = false, everyStage = false } = {}) => {
      const change = { everyStage, image: { ...DEFAULT_IMAGE_SETTINGS, inlineCache } }
      const { result, ran } = await bench.buildPlatforms(files, PLATFORM, change)
      return { result, steps: ran.map((title) => title.replace('linux/amd64 ', '')) }
    },
    save: (result, targets) => exportCaches(result.graphs, targets, { tools, warn }, never),
    readOut: (result) => bench.readInside(result.images[0].image, 'out'),
    blobs: async () => (await readdir(join(bench.dataDir, 'blobs/sha256'))).length,
    [Symbol.asyncDispose]: () => bench[Symbol.asyncDispose](),
  }
}

const target = (fields: Record<string, string>): CacheTarget => {
  const { type = 'registry', ...rest } = fields
  return readCacheTarget({ type, fields: rest })
}
const nameOf = (name: string): string => `${first.host}/caches/${name}`
const raw = async (name: string) => {
  const { stdout } = await run('skopeo', ['inspect', '--tls-verify=false', '--raw', `docker://${nameOf(name)}`])
  return JSON.parse(stdout.toString()) as {
    mediaType: string
    config?: { mediaType: string }
    layers?: { mediaType: string; annotations: Record<string, string> }[]
    manifests?: { mediaType: string }[]
  }
}

/** What a machine without any state builds and writes to a cache. */
async function seed(fields: Record<string, string>): Promise<BuiltResult> {
  await using machine = await openMachine([])
  const { result, steps } = await machine.build()
  expect(steps).toHaveLength(5)
  await machine.save(result, [target(fields)])
  return result
}

test('a cache of all steps in a registry: nothing runs, and no layer comes before it is needed', async () => {
  const built = await seed({ ref: nameOf('max'), mode: 'max' })
  await using other = await openMachine([{ type: 'registry', ref: nameOf('max') }])
  const { result, steps } = await other.build()
  expect({ steps, digest: result.digest, blobs: await other.blobs() }).toEqual({
    steps: [],
    digest: built.digest,
    blobs: 0,
  })
  const changed = { ...FILES, Dockerfile: `${FILES.Dockerfile}\nRUN echo more >> /out` }
  const more = await other.build(changed)
  expect(more.steps).toEqual(['RUN echo more >> /out'])
  expect(await other.readOut(more.result)).toBe('in\ntool\nmore\n')
  expect(other.warnings).toEqual([])
})

test.for<[string, Record<string, string>, object]>([
  ['as an image', {}, { mediaType: 'application/vnd.oci.image.manifest.v1+json' }],
  ['as an index', { 'image-manifest': 'false' }, { mediaType: 'application/vnd.oci.image.index.v1+json' }],
  [
    'in Docker’s types',
    { 'oci-mediatypes': 'false' },
    { mediaType: 'application/vnd.docker.distribution.manifest.list.v2+json' },
  ],
  ['in another compression', { compression: 'zstd' }, { mediaType: 'application/vnd.oci.image.manifest.v1+json' }],
])('a cache %s', async ([, fields, form], { expect }) => {
  const name = `form-${Object.keys(fields)[0] ?? 'plain'}`
  await seed({ ref: nameOf(name), mode: 'max', ...fields })
  const manifest = await raw(name)
  expect(manifest).toMatchObject(form)
  const named = [manifest.config, ...(manifest.layers ?? manifest.manifests ?? [])].map((one) => one?.mediaType)
  expect(named).toContain('application/vnd.buildkit.cacheconfig.v0')
  if (fields['compression']) expect(named).toContain('application/vnd.oci.image.layer.v1.tar+zstd')
  await using other = await openMachine([{ type: 'registry', ref: nameOf(name) }])
  const { result, steps } = await other.build()
  expect(steps).toEqual([])
  expect(await other.readOut(result)).toBe('in\ntool\n')
})

test('a cache of the image alone: other stages are not in it, and run only when their files are needed', async () => {
  await seed({ ref: nameOf('min') })
  expect((await raw('min')).layers).toHaveLength(4)
  await using other = await openMachine([{ type: 'registry', ref: nameOf('min') }])
  const { result, steps } = await other.build()
  expect(steps).toEqual([])
  expect(await other.readOut(result)).toBe('in\ntool\n')
  const renamed = { ...FILES, Dockerfile: FILES.Dockerfile.replace('/tool /tool', '/tool /bin/tool') }
  const again = await other.build({ ...renamed, Dockerfile: renamed.Dockerfile.replace('cat /tool', 'cat /bin/tool') })
  expect(again.steps.toSorted()).toEqual([
    'COPY --from=tools /tool /bin/tool',
    'RUN cat /bin/tool >> /out',
    'RUN echo tool > /tool',
  ])
})

test('a cache of all steps that is written by who took them from one has all of them too', async () => {
  await seed({ ref: nameOf('loop'), mode: 'max' })
  await using other = await openMachine([{ type: 'registry', ref: nameOf('loop') }])
  const { result, steps } = await other.build(FILES, { everyStage: true })
  expect(steps).toEqual([])
  await other.save(result, [target({ ref: nameOf('looped'), mode: 'max' })])
  await using third = await openMachine([{ type: 'registry', ref: nameOf('looped') }])
  expect((await third.build(FILES, { everyStage: true })).steps).toEqual([])
})

test('a cache in a directory, by tag and by digest, beside another', async () => {
  const dest = join(first.dataDir, 'cache-directory')
  const built = await seed({ type: 'local', dest, mode: 'max' })
  await seed({ type: 'local', dest, tag: 'other', mode: 'max' })
  for (const source of [{ tag: 'other' }, {}]) {
    await using other = await openMachine([{ type: 'local', src: dest, ...source }])
    const { steps } = await other.build()
    expect(steps).toEqual([])
  }
  await run('skopeo', ['inspect', '--raw', `oci:${dest}:latest`])
  expect(built.digest).toMatch(/^sha256:/)
})

test('a cache that went with the image', async () => {
  await using machine = await openMachine([])
  const { result } = await machine.build(FILES, { inlineCache: true })
  const names = [parseImageReference(nameOf('inline'))]
  await pushResult(result, { names, byDigestOnly: false }, first.tools.registry, never)
  await using other = await openMachine([{ type: 'registry', ref: nameOf('inline') }])
  const again = await other.build(FILES, { inlineCache: true })
  expect(again.steps).toEqual([])
  // A child of the image does not say that its layers were made so.
  const child = await first.buildFiles({ Dockerfile: `FROM ${nameOf('inline')}\nLABEL a=b\n` })
  expect(child.image.config.toString()).not.toContain('moby.buildkit.cache')
})

test('layers that are damaged or gone are made again', async () => {
  const dest = join(first.dataDir, 'damaged')
  await seed({ type: 'local', dest, mode: 'max' })
  const blobs = join(dest, 'blobs/sha256')
  let layers = 0
  for (const name of await readdir(blobs)) {
    const { stdout } = await run('head', ['-c', '2', join(blobs, name)])
    if (stdout.readUInt16BE(0) !== 0x1f8b) continue
    if (layers++ % 2 === 0) await writeFile(join(blobs, name), 'damaged')
    else await rm(join(blobs, name))
  }
  expect(layers).toBe(4)
  await using other = await openMachine([{ type: 'local', src: dest }])
  const changed = { ...FILES, Dockerfile: `${FILES.Dockerfile}\nRUN echo more >> /out` }
  const { result, steps } = await other.build(changed)
  expect(await other.readOut(result)).toBe('in\ntool\nmore\n')
  expect(steps).toContain('RUN cat /tool >> /out')
  expect(other.warnings[0]).toMatch(/^Layer sha256:\w+ of a cache cannot be used: .* runs again\.$/)
})

test('what is not there to import is warned of; what cannot be exported fails, or is warned of', async () => {
  const empty = join(first.dataDir, 'empty')
  await mkdir(empty)
  await using machine = await openMachine([
    { type: 'registry', ref: nameOf('never-pushed') },
    { type: 'local', src: empty },
  ])
  expect(machine.warnings).toEqual([
    expect.stringContaining('caches/never-pushed:latest was not imported'),
    expect.stringContaining(`${empty} was not imported`),
  ])
  const { result } = await machine.build()
  const file = join(empty, 'file')
  await writeFile(file, '')
  const dest = join(file, 'below')
  await expect(machine.save(result, [target({ type: 'local', dest })])).rejects.toThrow('ENOTDIR')
  await machine.save(result, [target({ type: 'local', dest, 'ignore-error': 'true' })])
  expect(machine.warnings.at(-1)).toContain(`${dest} was not exported`)
})
