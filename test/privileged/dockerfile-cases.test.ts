import { mkdir, mkdtempDisposable } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type BuildRequest, type BuiltImage, DEFAULT_RUN_SETTINGS, openDirectoryContext } from '#buildkit-lite'
import { SourceError } from '#domain/errors'
import { writeBusyboxLayout } from '../support/busybox-layout.ts'
import {
  caseNames,
  type DockerfileCase,
  type ExpectedImage,
  type HistoryLine,
  readCase,
  readExpected,
  withoutEmpty,
} from '../support/dockerfile-case.ts'
import { differences, type Listing, listLayers } from '../support/image-listing.ts'
import { makeFiles } from '../support/make-files.ts'
import { type BuildBench, openBuildBench } from './build-bench.ts'
import { never } from './busybox.ts'

let bench: BuildBench
let baseContext: BuildRequest['namedContexts']
let baseFiles: Listing

beforeAll(async () => {
  bench = await openBuildBench('cases')
  const path = join(bench.dataDir, 'busybox-layout')
  await writeBusyboxLayout(path)
  baseContext = { base: { kind: 'oci-layout', path, reference: null } }
  const { image } = await bench.buildFiles({ Dockerfile: 'FROM base\n' }, { namedContexts: baseContext })
  baseFiles = await listImage(image)
})
afterAll(async () => await bench?.[Symbol.asyncDispose]())

/** A folder is a case. What it expects was recorded from the builder that we replace, or derived from its rules. */
describe.for(await caseNames())('%s', (name) => {
  test('is built as expected, and again from the cache', async () => {
    const given = await readCase(name)
    await using prepared = await prepare(name, given)
    const { path, change } = prepared
    if (given.fails) return await expectFailure(given.fails, bench.buildDirectory(path, change))
    const expected = await readExpected(name)
    const { image } = await bench.buildDirectory(path, change)
    expect(await describeImage(image, expected.removed !== null)).toEqual(expected)
    const again = await bench.buildDirectory(path, change)
    expect({ ran: again.ran, digest: again.image.manifestDigest }).toEqual({ ran: [], digest: image.manifestDigest })
  })
})

interface Prepared {
  /** Of the context, the Dockerfile in it. */
  path: string
  change: Partial<BuildRequest>
}

/** Puts the case on disk, and what it asks for into words of the builder. Nothing of another case's cache is seen. */
async function prepare(name: string, { files, options = {}, dockerfile }: DockerfileCase & { dockerfile: string }) {
  await using stack = new AsyncDisposableStack()
  const dir = stack.use(await mkdtempDisposable(join(bench.dataDir, 'case-')))
  const path = join(dir.path, 'context')
  await mkdir(path)
  await makeFiles({ ...files, Dockerfile: dockerfile }, path)
  const namedContexts: Record<string, BuildRequest['namedContexts'][string]> = { ...baseContext }
  for (const [context, recipe] of Object.entries(options.contexts ?? {})) {
    const beside = join(dir.path, `context-${context}`)
    await mkdir(beside)
    await makeFiles(recipe, beside)
    namedContexts[context] = { kind: 'context', context: stack.use(await openDirectoryContext(beside, {})) }
  }
  for (const [context, reference] of Object.entries(options.images ?? {}))
    namedContexts[context] = { kind: 'image', reference }
  const owned = stack.move()
  const change = { ...requestOf(options), namedContexts, cacheScope: `case ${name}` }
  return { path, change, [Symbol.asyncDispose]: () => owned.disposeAsync() } satisfies Prepared & AsyncDisposable
}

function requestOf(options: NonNullable<DockerfileCase['options']>): Partial<BuildRequest> {
  const { target = null, buildArgs = {}, labels = {}, secrets = {}, hosts = {}, network = 'none' } = options
  const { shmSizeBytes = null, ulimits = [] } = options
  return {
    target,
    buildArgs,
    labels,
    network,
    secrets: Object.fromEntries(Object.entries(secrets).map(([id, value]) => [id, Buffer.from(value)])),
    extraHosts: Object.entries(hosts).map(([host, address]) => ({ name: host, address })),
    run: { ...DEFAULT_RUN_SETTINGS, shmSizeBytes, ulimits },
  }
}

async function expectFailure(fails: NonNullable<DockerfileCase['fails']>, built: Promise<unknown>): Promise<void> {
  const error: unknown = await built.then(
    () => null,
    (reason: unknown) => reason,
  )
  if (!(error instanceof Error)) throw new Error(`The build succeeded, expected it to fail with: ${fails.message}`)
  expect(error.message).toContain(fails.message)
  if (fails.line === undefined) return
  expect(error).toBeInstanceOf(SourceError)
  if (error instanceof SourceError)
    expect({ line: error.line, marked: markedLine(error.excerpt) }).toEqual({ line: fails.line, marked: fails.line })
}

/** The number of the first line that an excerpt marks. */
function markedLine(excerpt: string): number {
  return Number(/^ *(\d+) \| >>>/m.exec(excerpt)?.[1])
}

async function listImage(image: BuiltImage): Promise<Listing> {
  return await listLayers(await Promise.all(image.layers.map((layer) => image.content.open(layer, never))))
}

/** What is compared; times are not, nor what a config says with an empty value. */
async function describeImage(image: BuiltImage, onBase: boolean): Promise<ExpectedImage> {
  const config = JSON.parse(image.config.toString()) as {
    config?: Record<string, unknown>
    author?: string
    history: (HistoryLine & { created?: string })[]
  }
  const files = await listImage(image)
  return {
    ...(onBase ? differences(baseFiles, files) : { rootfs: Object.fromEntries(files), removed: null }),
    config: withoutEmpty(config.config ?? {}),
    author: config.author ?? null,
    history: config.history.map(({ created: _created, ...line }) => line),
    layers: image.layers.length,
  }
}
