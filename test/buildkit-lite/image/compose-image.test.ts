import { expect, test } from 'vitest'
import { composeImage } from '../../../buildkit-lite/image/compose-image.ts'
import { DOCKER_TYPES } from '../../../buildkit-lite/image/media-types.ts'
import { digestOf } from '../../../buildkit-lite/registry/fetch-manifest.ts'

const digest = digestOf(Buffer.from('x'))
const diffId = digestOf(Buffer.from('y'))
const rootfs = { type: 'layers' as const, diff_ids: [] }

test('the bytes do not depend on the order in which a config was put together', () => {
  const parts = { history: [], layers: [], created: null }
  const one = composeImage({
    ...parts,
    plannedConfig: { os: 'linux', architecture: 'amd64', rootfs, 'os.features': ['x'] },
  })
  const other = composeImage({
    ...parts,
    plannedConfig: { 'os.features': ['x'], rootfs, architecture: 'amd64', os: 'linux' },
  })
  expect(one.manifestDigest).toBe(other.manifestDigest)
  expect(JSON.parse(one.config.toString())).toMatchObject({ created: null, 'os.features': ['x'], rootfs })
})

test('layers of a Docker base are listed with their OCI type', () => {
  const descriptor = { mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip', digest, size: 10 }
  const plannedConfig = { os: 'linux', architecture: 'amd64', rootfs }
  const image = composeImage({ plannedConfig, history: [], layers: [{ descriptor, diffId }], created: null })
  const manifest = JSON.parse(image.manifest.toString())
  expect(manifest.layers).toEqual([{ mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest, size: 10 }])
  expect(manifest.config).toEqual({
    mediaType: 'application/vnd.oci.image.config.v1+json',
    digest: digestOf(image.config),
    size: image.config.length,
  })
  expect(JSON.parse(image.config.toString()).rootfs.diff_ids).toEqual([diffId])
  expect(image.sizeBytes).toBe(image.manifest.length + image.config.length + 10)
})

test('Docker’s media types are used throughout where they are asked for', () => {
  const layer = (mediaType: string) => ({ descriptor: { mediaType, digest, size: 1 }, diffId })
  const { manifest, manifestMediaType } = composeImage({
    plannedConfig: { os: 'linux', architecture: 'amd64', rootfs },
    history: [],
    layers: ['+gzip', '+zstd', ''].map((end) => layer(`application/vnd.oci.image.layer.v1.tar${end}`)),
    created: null,
    types: DOCKER_TYPES,
  })
  expect(manifestMediaType).toBe('application/vnd.docker.distribution.manifest.v2+json')
  expect(JSON.parse(manifest.toString())).toMatchObject({
    mediaType: manifestMediaType,
    config: { mediaType: 'application/vnd.docker.container.image.v1+json' },
    layers: ['.gzip', '.zstd', ''].map((end) => ({ mediaType: `application/vnd.docker.image.rootfs.diff.tar${end}` })),
  })
})
