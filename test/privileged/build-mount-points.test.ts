import { afterAll, beforeAll, expect, test } from 'vitest'
import { type BuildBench, openBuildBench } from './build-bench.ts'

let bench: BuildBench

beforeAll(async () => {
  bench = await openBuildBench('points')
})
afterAll(() => bench[Symbol.asyncDispose]())

/** Names that containers need, and that an image may have as well. */
const POINTS = ['dev', 'etc', 'proc', 'sys']
const asContext = Object.fromEntries(POINTS.map((name) => [`root/${name}/`, '']))
const namesOf = (entries: readonly string[]) => new Set(entries.map((entry) => entry.split(' ').at(-1)))

test.for<[string, Record<string, string>]>([
  ['COPY', { Dockerfile: 'FROM scratch\nCOPY root /\n', ...asContext }],
  ['COPY --link', { Dockerfile: 'FROM scratch\nCOPY --link root /\n', ...asContext }],
  [
    'COPY of a rw bind mount',
    {
      Dockerfile: `FROM busybox AS made
RUN --mount=target=/ctx,rw mkdir /out && mv /ctx/root/* /out/ && ls /ctx
FROM scratch
COPY --from=made /out /
`,
      ...asContext,
    },
  ],
])('%s brings empty directories where containers have their mount points', async ([, files]) => {
  const { image } = await bench.buildFiles(files)
  expect(namesOf(await bench.lastLayer(image))).toEqual(new Set(POINTS.map((name) => `${name}/`)))
})

test('WORKDIR makes /proc of an empty image', async () => {
  const { image } = await bench.buildFiles({ Dockerfile: 'FROM scratch\nWORKDIR /proc\n' })
  expect(namesOf(await bench.lastLayer(image))).toEqual(new Set(['proc/']))
})

test('a writable bind mount of an empty stage is empty', async () => {
  const dockerfile = `FROM scratch AS empty
FROM busybox
RUN --mount=from=empty,target=/mnt,rw echo "[$(ls /mnt)]"
`
  expect((await bench.buildFiles({ Dockerfile: dockerfile })).output).toBe('[]\n')
})

test('/etc that is copied has its own time', async () => {
  const dockerfile = `FROM busybox AS made
RUN mkdir -p /out/etc && touch -d '2001-02-03 04:05:06' /out/etc
FROM scratch
COPY --from=made /out /
`
  const { image } = await bench.buildFiles({ Dockerfile: dockerfile })
  expect((await bench.lastLayer(image)).join()).toContain('2001-02-03 04:05:06 etc/')
})
