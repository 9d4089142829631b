import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, statSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { run } from '#host/exec'
import { Bench, type Ended, gc } from './cli.ts'

const BIG = randomBytes(40 * 1024 * 1024)
const stack = new AsyncDisposableStack()
let bench: Bench
let small = ''
let url = ''

/** A file system of 48 MB is the data directory. */
beforeAll(async () => {
  bench = stack.use(await Bench.open())
  small = bench.path('small')
  await mkdir(small)
  await run('truncate', ['-s', '48M', bench.path('image')])
  await run('mkfs.ext4', ['-q', '-m', '0', bench.path('image')])
  await run('mount', ['-o', 'loop', bench.path('image'), small])
  stack.defer(async () => void (await run('umount', ['--lazy', small])))
  await bench.write({ 'small.txt': 'x', 'ok.Dockerfile': 'FROM base\nRUN echo ok > /ok\n' })
  await writeFile(bench.path('context/big'), BIG)
  const server = createServer((_request, response) => void response.end(BIG)).listen(0, '127.0.0.1')
  stack.defer(() => void server.close())
  await once(server, 'listening')
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/big`
})
afterAll(async () => await stack.disposeAsync())

const env = () => ({ SLIPWAY_DATA: small })
const namesIn = (path: string): string[] =>
  statSync(join(small, path), { throwIfNoEntry: false }) ? readdirSync(join(small, path)) : []
const build = async (dockerfile: string, flags: readonly string[] = []): Promise<Ended> => {
  await bench.write({ Dockerfile: dockerfile })
  return await bench.build([...flags, '--progress', 'plain'], { env: env() })
}

/** Nothing half-written can be seen, and what is there is sound. */
async function expectSound(): Promise<void> {
  for (const path of ['blobs/staged', 'snapshots/active', 'builder/steps']) expect(namesIn(path), path).toEqual([])
  expect(namesIn('blobs/sha256').filter((name) => !/^[0-9a-f]{64}$/.test(name))).toEqual([])
  expect(await gc(small, ['--verify'])).toMatchObject({ code: 0, stdout: 'Everything that is kept is sound.\n' })
}

test.for([
  ['a program fills the disk', 'FROM base\nRUN cat /dev/zero > /big\n', 'process "/bin/sh -c cat /dev/zero'],
  ['files to copy do not fit', 'FROM base\nCOPY big small.txt /\nCOPY big /again\n', 'COPY big'],
  ['a layer does not fit', 'FROM base\nRUN head -c 25000000 /dev/urandom > /big\n', 'RUN head -c 25000000'],
  ['a download does not fit', 'FROM base\nADD URL /\nADD URL?again /again\n', 'ADD http://127.0.0.1'],
] as const)('%s: the build says so, and the next one works', async ([, dockerfile, step]) => {
  const failed = await build(dockerfile.replaceAll('URL', url))
  expect(failed.code).toBe(1)
  const [message = ''] = /^ERROR: failed to build.*$/m.exec(failed.stderr) ?? []
  expect(message).toContain('No space is left')
  expect(message).toContain(step)
  expect(message).toMatch(new RegExp(`${small}.* has .*B of .*MB free without what did not fit; run slipway gc`))
  await expectSound()
  expect(await gc(small, ['--all'])).toMatchObject({ code: 0 })
  expect(await build('FROM base\nRUN echo ok > /ok\n')).toMatchObject({ code: 0 })
})

test('on a disk that is full already, garbage can be collected and what is cached can be built', async () => {
  expect(await build('FROM base\nRUN echo ok > /ok\n')).toMatchObject({ code: 0 })
  await run('dd', ['if=/dev/zero', `of=${small}/ballast`, 'bs=64k', 'status=none'], { okCodes: [1] })
  expect(await build('FROM base\nRUN echo ok > /ok\n')).toMatchObject({ code: 0 })
  const failed = await build('FROM base\nRUN head -c 2000000 /dev/urandom > /more\n')
  expect(failed).toMatchObject({ code: 1 })
  expect(failed.stderr).toContain('No space is left')
  const archive = join(small, 'image.tar')
  const exported = await build('FROM base\nRUN echo ok > /ok\n', ['-o', `type=oci,dest=${archive}`])
  expect(exported).toMatchObject({ code: 1 })
  expect(exported.stderr).toMatch(new RegExp(`No space is left on the disk: ENOSPC.*${small} has .* free`))
  expect(namesIn('.').filter((name) => name.includes('image.tar'))).toEqual([])
  await expectSound()
  expect(await gc(small, ['--all'])).toMatchObject({ code: 0 })
  await rm(join(small, 'ballast'))
  expect(await build('FROM base\nRUN echo again > /ok\n')).toMatchObject({ code: 0 })
})
