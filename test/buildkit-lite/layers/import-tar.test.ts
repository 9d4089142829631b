import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { composeImage } from '../../../buildkit-lite/image/compose-image.ts'
import { verifyImage } from '../../../buildkit-lite/image/verify-image.ts'
import type { BlobStore } from '../../../buildkit-lite/layers/blob-store.ts'
import { importTar } from '../../../buildkit-lite/layers/import-tar.ts'
import { openBlobStore } from '../../../buildkit-lite/layers/open-blob-store.ts'
import { run } from '../../../core/host/exec.ts'

const signal = new AbortController().signal
let dir: string
let blobs: BlobStore

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'slip-import-'))
  blobs = await openBlobStore(join(dir, 'blobs'))
  await run('mkdir', ['-p', join(dir, 'tree/etc')])
  await writeFile(join(dir, 'tree/etc/passwd'), 'root:x:0:0::/:/bin/sh\n')
  await writeFile(join(dir, 'tree/.wh.bin'), '')
  await writeFile(join(dir, 'tree/big'), Buffer.alloc(3_000_000, 'slipway'))
  await symlink('/etc', join(dir, 'tree/link'))
})

afterAll(() => rm(dir, { recursive: true, force: true }))

const makeTar = async (...flags: string[]) =>
  (await run('tar', ['-C', join(dir, 'tree'), '--sort=name', '-c', ...flags, '.'])).stdout

test.for(['', '--gzip', '--zstd', '--xz', '--bzip2'])(
  'an archive made with %j becomes one and the same layer',
  async (flag) => {
    const archive = await makeTar(...(flag ? [flag] : []))
    const layer = await importTar(Readable.from([archive]), { compression: 'gzip' }, blobs, signal)
    expect(layer.warnings).toEqual(['.wh.bin is left out of the layer: its name would delete other files'])
    const plain = await importTar(
      Readable.from([await makeTar('--format=gnu')]),
      { compression: 'gzip' },
      blobs,
      signal,
    )
    expect(plain).toEqual(layer)
    const path = await blobs.pathOf(layer.descriptor.digest)
    const listed = (await run('tar', ['-tzf', path])).stdout.toString().trim().split('\n')
    expect(listed).toEqual(['big', 'etc/', 'etc/passwd', 'link'])
  },
)

test('an archive that breaks off is refused', async () => {
  const archive = await makeTar('--xz')
  const broken = Readable.from([archive.subarray(0, archive.length - 100)])
  await expect(importTar(broken, { compression: 'gzip' }, blobs, signal)).rejects.toThrow()
})

test('what is no archive is refused', async () => {
  const importing = importTar(Readable.from([Buffer.alloc(2000, 'x')]), { compression: 'gzip' }, blobs, signal)
  await expect(importing).rejects.toThrow(/no tar header/)
})

test('an image of it is verified byte by byte', async () => {
  const { descriptor, diffId } = await importTar(
    Readable.from([await makeTar()]),
    { compression: 'zstd' },
    blobs,
    signal,
  )
  const plannedConfig = { os: 'linux', architecture: 'amd64', rootfs: { type: 'layers' as const, diff_ids: [] } }
  const parts = { plannedConfig, history: [], created: null }
  const image = composeImage({ ...parts, layers: [{ descriptor, diffId }] })
  const open = async (wanted: { digest: string }) =>
    wanted.digest === image.configDigest ? Readable.from([image.config]) : await blobs.read(descriptor.digest, signal)
  const verified = await verifyImage(image.manifest, open, signal)
  expect(verified.diffIds).toEqual([diffId])
  const other = composeImage({ ...parts, layers: [{ descriptor, diffId: descriptor.digest }] })
  const openOther = async (wanted: { digest: string }) =>
    wanted.digest === other.configDigest ? Readable.from([other.config]) : await blobs.read(descriptor.digest, signal)
  await expect(verifyImage(other.manifest, openOther, signal)).rejects.toThrow(/has the diffID/)
  const evil = async () => Readable.from([Buffer.from('{}')])
  await expect(verifyImage(image.manifest, evil, signal)).rejects.toThrow(/has 2 bytes, digest/)
})
