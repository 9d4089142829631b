import { afterAll, beforeAll, expect, test } from 'vitest'
import { type BuildBench, openBuildBench } from './build-bench.ts'

let bench: BuildBench
beforeAll(async () => {
  bench = await openBuildBench('foresight')
})
afterAll(async () => await bench?.[Symbol.asyncDispose]())

const READER = [
  'FROM busybox AS random',
  'RUN head -c 16 /dev/urandom > /u',
  'FROM busybox',
  'COPY --from=random /u /u',
  'RUN --mount=from=random,target=/m cat /m/u /u > /uu',
].join('\n')

test('what a stage gave last is what others take from it, though it is not looked at', async () => {
  const first = await bench.buildFiles({ Dockerfile: READER })
  const other = await bench.buildFiles({ Dockerfile: READER }, { noCacheStages: ['random'] })
  expect(other.ran).toHaveLength(3)
  const last = await bench.buildFiles({ Dockerfile: READER })
  expect(last.ran).toEqual([])
  expect(last.image.configDigest).toBe(other.image.configDigest)
  expect(last.image.configDigest).not.toBe(first.image.configDigest)
  const again = await bench.buildFiles({ Dockerfile: READER }, { useCache: false })
  const after = await bench.buildFiles({ Dockerfile: READER })
  expect({ ran: after.ran, digest: after.image.configDigest }).toEqual({ ran: [], digest: again.image.configDigest })
})

test('a stage that is written otherwise runs, and a file of the context that it copies counts', async () => {
  const dockerfile = [
    'FROM busybox AS a',
    'COPY f /f',
    'FROM busybox AS b',
    'COPY --from=a /f /g',
    'FROM busybox',
    'COPY --from=b /g /h',
  ]
  const build = (f: string, lines = dockerfile) => bench.buildFiles({ f, Dockerfile: lines.join('\n') })
  await build('1')
  expect((await build('1')).ran).toEqual([])
  const changed = await build('2')
  expect(changed.ran).toEqual(['COPY f /f', 'COPY --from=a /f /g', 'COPY --from=b /g /h'])
  expect(await bench.readInside(changed.image, 'h')).toBe('2')
  const more = await build('2', dockerfile.toSpliced(2, 0, 'RUN true'))
  expect(more.ran).toEqual(['RUN true'])
})

test('a source that is missing in a stage is told, although the stage is read by others', async () => {
  const missing = 'FROM busybox AS a\nCOPY nope /f\nFROM busybox\nCOPY --from=a /f /g\n'
  await expect(bench.buildFiles({ Dockerfile: missing })).rejects.toThrow('"/nope": not found')
})
