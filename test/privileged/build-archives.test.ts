import { randomBytes } from 'node:crypto'
import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { run } from '#host/exec'
import { listLayers } from '../support/image-listing.ts'
import { type TarMember, writeTar } from '../support/make-files.ts'
import { type BuildBench, openBuildBench } from './build-bench.ts'
import { never } from './busybox.ts'

let bench: BuildBench

beforeAll(async () => {
  bench = await openBuildBench('archives')
})
afterAll(async () => await bench?.[Symbol.asyncDispose]())

async function addArchive(content: Buffer) {
  await using dir = await mkdtempDisposable(join(bench.dataDir, 'context-'))
  await writeFile(join(dir.path, 'Dockerfile'), 'FROM scratch\nADD a /o/\n')
  await writeFile(join(dir.path, 'a'), content)
  const { image } = await bench.buildDirectory(dir.path)
  return await listLayers(await Promise.all(image.layers.map((layer) => image.content.open(layer, never))))
}

const small = writeTar([['f', 'file', '0640', 1, 2, 'F']])
/** So many members of whole blocks that every break is between two of them, as the end of an archive would be. */
const large = writeTar(
  Array.from({ length: 400 }, (_, index): TarMember => {
    return [`f${index}`, 'file', '0644', 0, 0, randomBytes(768).toString('base64').slice(0, 512)]
  }),
)
const longName = async () => {
  await using dir = await mkdtempDisposable(join(bench.dataDir, 'long-'))
  await writeFile(join(dir.path, 'f'), '')
  const rename = ['--transform', `s/f/${'n'.repeat(300)}/`]
  return (await run('tar', ['-C', dir.path, ...rename, '-cf', '-', 'f'])).stdout
}
const half = (bytes: Buffer) => bytes.subarray(0, bytes.length / 2)
const xz = async (tar: Buffer) => (await run('xz', ['-c', '--block-size=65536'], { input: tar })).stdout

test.for<[string, () => Promise<Buffer> | Buffer]>([
  ['zstd behind a frame to be skipped, as pzstd writes it', () => Buffer.concat([SKIPPABLE, zstdCompressSync(small)])],
  ['gzip in several parts', () => Buffer.concat([gzipSync(small.subarray(0, 700)), gzipSync(small.subarray(700))])],
  ['no blocks at its end', () => small.subarray(0, 1024)],
])('an archive with %s is unpacked', async ([, content]) => {
  expect((await addArchive(await content())).get('/o/f')).toMatchObject({ mode: '0640', uid: 1, gid: 2, size: 1 })
})
const SKIPPABLE = Buffer.from('5e2a4d180400000001020304', 'hex')

test.for<[string, () => Promise<Buffer> | Buffer, string]>([
  ['tar that breaks off', () => large.subarray(0, 1024 * 7 + 512 + 100), 'cannot unpack "/a": The archive breaks off'],
  ['gzip that breaks off', () => half(gzipSync(large)), 'cannot unpack "/a": its compressed data breaks off'],
  ['zstd that breaks off', () => half(zstdCompressSync(large)), 'cannot unpack "/a": its compressed data breaks off'],
  ['xz that breaks off', async () => half(await xz(large)), 'cannot unpack "/a": xz cannot read its compressed data'],
  ['a name of 300 bytes', longName, 'cannot unpack "/a": a name in it has more than 255 bytes'],
])('%s is an error that names the file', async ([, content, message]) => {
  await expect(addArchive(await content())).rejects.toThrow(message)
})
