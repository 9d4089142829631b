import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import type { Registry } from '#buildkit-lite'
import { Descriptor, Digest } from '#domain/digest'
import { parseImageReference } from '#domain/image-reference'
import type { Progress, Tell } from '../../cli/progress.ts'
import { watchRegistry } from '../../cli/watch-registry.ts'

const image = parseImageReference('docker.io/library/debian:12')
const signal = new AbortController().signal

function descriptor(letter: string, size: number): Descriptor {
  return Descriptor.parse({ mediaType: 'application/x', digest: Digest.parse(`sha256:${letter.repeat(64)}`), size })
}

/** What was shown, in order. */
function record(): { shown: string[]; progress: Pick<Progress, 'during'> } {
  const shown: string[] = []
  const tell: Tell = async (text, amount) => {
    shown.push(`${text.slice(0, 8)} ${amount?.currentBytes}/${amount?.totalBytes}`)
  }
  const during: Progress['during'] = async (title, work) => {
    shown.push(`begin ${title}`)
    try {
      return await work(tell)
    } finally {
      shown.push(`end ${title}`)
    }
  }
  return { shown, progress: { during } }
}

function registryOf(openBlob: (size: number) => Readable): Registry {
  return { openBlob: async (_from, { size }) => openBlob(size) } as Partial<Registry> as Registry
}

test('layers of an image that are fetched side by side are one vertex with a status each', async () => {
  const { shown, progress } = record()
  const bytes = (size: number) => Readable.from([Buffer.alloc(size - 1), Buffer.alloc(1)], { objectMode: false })
  const registry = watchRegistry(registryOf(bytes), progress)
  const streams = await Promise.all([
    registry.openBlob(image, descriptor('a', 10), signal),
    registry.openBlob(image, descriptor('b', 2_000_000), signal),
  ])
  expect((await Promise.all(streams.map((stream) => buffer(stream)))).map(({ length }) => length)).toEqual([
    10, 2_000_000,
  ])
  await new Promise(setImmediate)
  expect(shown.filter((line) => /^(?:begin|end)/.test(line))).toEqual([
    'begin [internal] pull docker.io/library/debian:12',
    'end [internal] pull docker.io/library/debian:12',
  ])
  expect(shown).toContain('sha256:a 10/10')
  expect(shown).toContain('sha256:b 1999999/2000000')
  expect(shown).toContain('sha256:b 2000000/2000000')
})

test('a stream that nobody reads to its end is let go of', async () => {
  const { shown, progress } = record()
  const source = new Readable({ read() {} })
  const registry = watchRegistry(
    registryOf(() => source),
    progress,
  )
  const stream = await registry.openBlob(image, descriptor('a', 10), signal)
  stream.destroy()
  await new Promise(setImmediate)
  expect(source.destroyed).toBe(true)
  expect(shown.at(-1)).toMatch(/^end/)
})

test('a failure is the reader’s, and the vertex ends', async () => {
  const { shown, progress } = record()
  const broken = () =>
    Readable.from(
      (async function* () {
        yield Buffer.alloc(3)
        throw new Error('connection lost')
      })(),
    )
  const registry = watchRegistry(registryOf(broken), progress)
  await expect(buffer(await registry.openBlob(image, descriptor('a', 10), signal))).rejects.toThrow('connection lost')
  await new Promise(setImmediate)
  expect(shown.at(-1)).toMatch(/^end/)
})
