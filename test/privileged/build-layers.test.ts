import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type BlobStore, build, DEFAULT_IMAGE_SETTINGS, openDirectoryContext, type SolveEvent } from '#buildkit-lite'
import { type BuildBench, openBuildBench } from './build-bench.ts'
import { never } from './busybox.ts'

let bench: BuildBench
beforeAll(async () => {
  bench = await openBuildBench('layers')
})
afterAll(() => bench[Symbol.asyncDispose]())

const TWO_STEPS = (name: string) => `FROM busybox\nRUN echo ${name} > /one\nRUN cat /one > /two; echo second runs\n`

/** Builds with a store whose first new blob waits for `until`, and then may fail. */
async function buildWith(dockerfile: string, commitFirst: (events: readonly SolveEvent[]) => Promise<void>) {
  await using dir = await mkdtempDisposable(join(bench.dataDir, 'context-'))
  await writeFile(join(dir.path, 'Dockerfile'), dockerfile)
  await using context = await openDirectoryContext(dir.path, { dockerfile: 'Dockerfile' })
  const events: SolveEvent[] = []
  let commits = 0
  const stage: BlobStore['stage'] = async () => {
    const staged = await bench.tools.blobs.stage()
    return {
      path: staged.path,
      commit: async (digest, sizeBytes) => {
        if (commits++ === 0) await commitFirst(events)
        await staged.commit(digest, sizeBytes)
      },
      [Symbol.asyncDispose]: () => staged[Symbol.asyncDispose](),
    }
  }
  const { promise: secondRan, resolve } = Promise.withResolvers<void>()
  waitForSecond = secondRan
  const report = async (event: SolveEvent): Promise<void> => {
    events.push(event)
    if (event.kind === 'output' && event.bytes.toString().includes('second runs')) resolve()
  }
  const tools = { ...bench.tools, blobs: { ...bench.tools.blobs, stage }, report }
  return { result: await Promise.allSettled([build(bench.requestOf(context), tools, never)]), events }
}
let waitForSecond: Promise<void>

test('the next step runs while the layer beneath is still being stored', { timeout: 20_000 }, async () => {
  const { result } = await buildWith(TWO_STEPS('overlap'), () => waitForSecond)
  expect(result).toMatchObject([{ status: 'fulfilled' }])
  const [{ value: image } = {}] = result as PromiseFulfilledResult<Awaited<ReturnType<typeof build>>>[]
  expect(image?.layers).toHaveLength(3)
  for (const { descriptor } of image?.layers.slice(1) ?? [])
    expect(await bench.tools.blobs.has(descriptor.digest)).toEqual({ sizeBytes: descriptor.size })
  // What was stored is also what later builds find.
  const again = await bench.buildFiles({ Dockerfile: TWO_STEPS('overlap') })
  expect(again.ran).toEqual([])
  expect(again.image.manifestDigest).toBe(image?.manifestDigest)
})

test('a layer that cannot be stored fails the build after its step was done, and is not remembered', async () => {
  const { result, events } = await buildWith(TWO_STEPS('broken'), async () => {
    await waitForSecond
    throw new Error('the disk is gone')
  })
  expect(result).toMatchObject([{ status: 'rejected', reason: { message: 'the disk is gone' } }])
  expect(events.filter(({ kind }) => kind === 'step-started')).toHaveLength(2)
  const again = await bench.buildFiles({ Dockerfile: TWO_STEPS('broken') })
  expect(again.ran).toEqual(['RUN echo broken > /one', 'RUN cat /one > /two; echo second runs'])
})

test('layers are compressed once, as the image is to have them', async () => {
  const image = { ...DEFAULT_IMAGE_SETTINGS, compression: { kind: 'zstd', level: null, force: false } } as const
  const built = await bench.buildFiles({ Dockerfile: 'FROM busybox\nRUN echo zstd > /one\n' }, { image })
  const mediaTypes = built.image.layers.map(({ descriptor }) => descriptor.mediaType)
  expect(mediaTypes.at(-1)).toBe('application/vnd.oci.image.layer.v1.tar+zstd')
  // Another form of the same cached step has the digest that it would have had at once.
  const gzip = await bench.buildFiles({ Dockerfile: 'FROM busybox\nRUN echo zstd > /one\n' })
  expect(gzip.ran).toEqual([])
  expect(gzip.image.layers.at(-1)?.diffId).toBe(built.image.layers.at(-1)?.diffId)
  expect(gzip.image.layers.at(-1)?.descriptor.mediaType).toBe('application/vnd.oci.image.layer.v1.tar+gzip')
})
