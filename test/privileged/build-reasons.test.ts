import { afterAll, beforeAll, expect, test } from 'vitest'
import { fetchLayers, pushImage } from '#buildkit-lite'
import { parseImageReference } from '#domain/image-reference'
import { type BuildBench, openBuildBench } from './build-bench.ts'
import { never } from './busybox.ts'

let bench: BuildBench

beforeAll(async () => {
  bench = await openBuildBench('reasons')
})
afterAll(() => bench[Symbol.asyncDispose]())

async function reasonsOf(subject: string, dockerfile: string, files: Record<string, string> = {}) {
  return (await bench.buildFiles({ Dockerfile: dockerfile, ...files }, { subject })).reasons
}

test('a build is compared with the last one of its own subject', async () => {
  expect(await reasonsOf('one', 'FROM busybox\nRUN echo one > /a\n')).toEqual(['not built before'])
  expect(await reasonsOf('two', 'FROM busybox\nRUN echo two > /a\n')).toEqual(['not built before'])
  expect(await reasonsOf('one', 'FROM busybox\nRUN echo 1 > /a\n')).toEqual(['RUN command changed'])
})

test('an instruction is compared with itself where another was put before it', async () => {
  await reasonsOf('insert', 'FROM busybox\nRUN echo insert > /a\n', { f: 'f' })
  expect(await reasonsOf('insert', 'FROM busybox\nCOPY f /f\nRUN echo insert > /a\n', { f: 'f' })).toEqual([
    'not built before',
    'an earlier step changed',
  ])
})

test('a base image whose name has another digest now is why', async () => {
  const move = async (text: string) => {
    const { image } = await bench.buildFiles({ Dockerfile: `FROM busybox\nRUN echo ${text} > /base\n` })
    await fetchLayers(image, bench.tools, never)
    await pushImage(image, [parseImageReference(`${bench.host}/library/moving:1`)], bench.tools.registry, never)
  }
  const dockerfile = 'FROM moving:1\nCOPY file /\nRUN cat /base\n'
  await move('first')
  await reasonsOf('base', dockerfile, { file: 'f' })
  await move('second')
  expect(await reasonsOf('base', dockerfile, { file: 'f' })).toEqual([
    'FROM moving:1 has another digest',
    'FROM moving:1 has another digest',
  ])
})

test('a base image that says something else of the same layers changes nothing', async () => {
  const pushLabelled = async (value: string) => {
    const { image } = await bench.buildFiles({ Dockerfile: `FROM busybox\nLABEL a=${value}\n` })
    await fetchLayers(image, bench.tools, never)
    await pushImage(image, [parseImageReference(`${bench.host}/library/labelled:1`)], bench.tools.registry, never)
  }
  await pushLabelled('1')
  await reasonsOf('label', 'FROM labelled:1\nRUN echo label > /l\n')
  await pushLabelled('2')
  expect(await reasonsOf('label', 'FROM labelled:1\nRUN echo label > /l\n')).toEqual([])
})

test.for([
  ['COPY . /app/', 'src/main.txt changed'],
  ['COPY src /app/', 'src/main.txt changed'],
  ['COPY *.txt src/main.txt /app/', 'main.txt changed'],
])('%s tells which file changed, and what follows from it', async ([copy, reason]) => {
  const dockerfile = `FROM busybox\n${copy}\nRUN ls /app\n`
  const files = { 'src/main.txt': 'one', 'other.txt': 'same' }
  await reasonsOf(copy ?? '', dockerfile, files)
  expect(await reasonsOf(copy ?? '', dockerfile, { ...files, 'src/main.txt': 'two' })).toEqual([
    reason,
    'an earlier step changed',
  ])
})
