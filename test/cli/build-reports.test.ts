import { mkdtempDisposable, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { BuiltResult } from '#buildkit-lite'
import { writeReports } from '../../cli/build-reports.ts'

const image = { configDigest: 'sha256:config', manifestDigest: 'sha256:manifest' }
const amd64 = { os: 'linux', architecture: 'amd64' }
const arm64 = { os: 'linux', architecture: 'arm', variant: 'v7' }
const statement = (predicate: object) => ({ predicateType: 'https://slsa.dev/provenance/v1', predicate })

async function report(result: object, names: string[] = []) {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'slip-reports-'))
  const flags = { iidfile: join(dir.path, 'id'), metadataFile: join(dir.path, 'meta.json') }
  const bytes = Buffer.from('12345')
  const common = { digest: 'sha256:root', bytes, mediaType: 'type', annotations: {}, attestations: [], isIndex: false }
  await writeReports(flags, { ...common, ...result } as unknown as BuiltResult, names)
  const [id, meta] = await Promise.all([readFile(flags.iidfile, 'utf8'), readFile(flags.metadataFile, 'utf8')])
  return { id, meta: JSON.parse(meta) }
}

test('a single image is named by its config', async () => {
  const { id, meta } = await report({ images: [{ image, platform: amd64 }] }, ['h.io/a:1', 'h.io/b:2'])
  expect(id).toBe('sha256:config')
  expect(meta).toEqual({
    'containerimage.config.digest': 'sha256:config',
    'containerimage.descriptor': { mediaType: 'type', digest: 'sha256:root', size: 5, platform: amd64 },
    'containerimage.digest': 'sha256:root',
    'image.name': 'h.io/a:1,h.io/b:2',
  })
})

test('an index is named by itself, and each platform has its provenance', async () => {
  const images = [amd64, arm64].map((platform) => ({ image, platform }))
  const attestations = [amd64, arm64].map((platform) => ({ platform, statements: [statement({ of: platform })] }))
  const { id, meta } = await report({ images, attestations, isIndex: true, annotations: { a: 'b' } })
  expect(id).toBe('sha256:root')
  expect(meta).toEqual({
    'buildx.build.provenance/linux/amd64': { of: amd64 },
    'buildx.build.provenance/linux/arm/v7': { of: arm64 },
    'containerimage.descriptor': { mediaType: 'type', digest: 'sha256:root', size: 5, annotations: { a: 'b' } },
    'containerimage.digest': 'sha256:root',
  })
})
