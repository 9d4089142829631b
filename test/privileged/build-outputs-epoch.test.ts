import { mkdtempDisposable, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type BuiltResult, DEFAULT_IMAGE_SETTINGS, writeResult } from '#buildkit-lite'
import { run } from '#host/exec'
import { never } from './busybox.ts'
import { type OutputBench, openOutputBench } from './output-bench.ts'

const EPOCH = 1_600_000_000
const CREATED = '2020-09-13T12:26:40.000Z'
const filesOn = (base: string) => ({
  Dockerfile: `FROM ${base} AS build
WORKDIR /desk/deep
RUN echo made > made; mkdir d; touch -d '2001-02-03 00:00:00' d/old; ln -s made link; rm /etc/passwd
FROM ${base}
ENV A=1
COPY . /src/
COPY --from=build /desk/deep /out
WORKDIR /new/dir
RUN rm /bin/wc; echo text > /src/added; mkdir /etc/more
LABEL last=1
`,
  'a.txt': 'a\n',
  'b/c.txt': 'c\n',
})

async function buildDated({ bench }: OutputBench, base = 'busybox'): Promise<BuiltResult> {
  const image = { ...DEFAULT_IMAGE_SETTINGS, rewriteTimestamp: true }
  const change = { image, buildArgs: { SOURCE_DATE_EPOCH: String(EPOCH) } }
  return (await bench.buildPlatforms(filesOn(base), ['linux/amd64'], change)).result
}

test('two builds in different places at different times make the same bytes', async () => {
  await using origin = await openOutputBench('epoch-base')
  const made: { digest: string; layers: string[]; config: string }[] = []
  for (const name of ['epoch-one', 'epoch-two']) {
    await using alone = await openOutputBench(name)
    const result = await buildDated(alone, `${origin.bench.host}/library/busybox`)
    const { image } = result.images[0]
    const layers = image.layers.map(({ descriptor, diffId }) => `${descriptor.digest} ${diffId}`)
    made.push({ digest: result.digest, layers, config: image.config.toString() })
  }
  const [one, two] = made
  expect(two).toEqual(one)
  const config = JSON.parse(one?.config ?? '')
  expect(config.created).toBe(CREATED)
  const created = config.history.map((entry: { created: string }) => entry.created)
  // The base image keeps its own times, whichever they are.
  expect(created.slice(-6)).toEqual(Array.from({ length: 6 }, () => CREATED))
  expect(created).not.toEqual(created.map(() => CREATED))
})

test('only new layers are rewritten, and no time is later than the date', async () => {
  await using outputs = await openOutputBench('epoch-layers')
  const { bench, send } = outputs
  const result = await buildDated(outputs)
  const { image } = result.images[0]
  const plain = await writeResult(result.graphs, { settings: DEFAULT_IMAGE_SETTINGS, names: [] }, bench.tools, never)
  const digests = (one: BuiltResult) => one.images[0].image.layers.map(({ diffId }) => diffId)
  expect(digests(result)[0]).toBe(digests(plain)[0])
  expect(digests(result).slice(1)).not.toEqual(digests(plain).slice(1))
  const lines = await bench.lastLayer(image)
  expect(lines.map((line) => line.split(' ').at(-1))).toEqual(
    expect.arrayContaining(['bin/.wh.wc', 'src/added', 'etc/more/']),
  )
  for (const line of lines) expect(line).toMatch(/2020-09-13 12:26:40|1970-01-01|2001-02-03/)
  await using dir = await mkdtempDisposable(join(bench.dataDir, 'epoch-'))
  await send(result, `type=local,dest=${dir.path}/out`)
  await send(result, `type=tar,dest=${dir.path}/out.tar`)
  const { stdout } = await run('find', [join(dir.path, 'out'), '-mindepth', '1', '-printf', '%T@\n'])
  expect(new Set(stdout.toString().split('\n').filter(Boolean).map(Number))).toEqual(new Set([EPOCH]))
  const tar = await run('tar', ['--utc', '--full-time', '-tvf', join(dir.path, 'out.tar')])
  for (const line of tar.stdout.toString().split('\n').filter(Boolean)) expect(line).toContain('2020-09-13 12:26:40')
  await send(result, `type=oci,tar=false,dest=${dir.path}/layout`)
  const { manifests } = JSON.parse(await readFile(join(dir.path, 'layout/index.json'), 'utf8'))
  expect(manifests[0].annotations).toEqual({ 'org.opencontainers.image.created': '2020-09-13T12:26:40Z' })
})
