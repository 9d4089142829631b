import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import type { Descriptor, Digest } from '#domain/digest'
import { SlipwayError } from '#domain/errors'
import { compressionOf, openDecompressor, sendThrough } from '../layers/compression.ts'
import { Manifest } from '../registry/manifest.ts'
import { ImageConfig } from './config.ts'

/** Opens the bytes of anything that a manifest names. */
export type OpenBlob = (descriptor: Descriptor, signal: AbortSignal) => Promise<Readable>

export interface VerifiedImage {
  config: ImageConfig
  /** Digests of the uncompressed layers, as computed. */
  diffIds: readonly string[]
  compressedBytes: number
  uncompressedBytes: number
}

/** Reads all of an image and checks every size, digest and diffID; fails with kind `invalid` at the first wrong one. */
export async function verifyImage(manifest: Buffer, openBlob: OpenBlob, signal: AbortSignal): Promise<VerifiedImage> {
  const { config: configDescriptor, layers } = Manifest.parse(JSON.parse(manifest.toString()))
  const chunks: Buffer[] = []
  for await (const chunk of checked(configDescriptor, await openBlob(configDescriptor, signal))) chunks.push(chunk)
  const config = ImageConfig.parse(JSON.parse(Buffer.concat(chunks).toString()))
  const expected = config.rootfs.diff_ids ?? []
  if (expected.length !== layers.length) {
    throw new SlipwayError('invalid', `The config names ${expected.length} layers, expected ${layers.length}`)
  }
  const found: { diffId: string; sizeBytes: number }[] = []
  for (const [index, layer] of layers.entries()) {
    signal.throwIfAborted()
    found.push(await verifyLayer(layer, expected[index], await openBlob(layer, signal)))
  }
  return {
    config,
    diffIds: found.map(({ diffId }) => diffId),
    compressedBytes: layers.reduce((sum, layer) => sum + layer.size, configDescriptor.size),
    uncompressedBytes: found.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  }
}

async function verifyLayer(descriptor: Descriptor, expected: Digest | undefined, blob: Readable) {
  const compression = compressionOf(descriptor.mediaType)
  const hash = createHash('sha256')
  let sizeBytes = 0
  const sink = (chunk: Buffer) => {
    hash.update(chunk)
    sizeBytes += chunk.length
  }
  const source = checked(descriptor, blob)
  if (compression === 'none') for await (const chunk of source) sink(chunk)
  else await sendThrough(source, await openDecompressor(compression, false), sink)
  const diffId = `sha256:${hash.digest('hex')}`
  if (diffId === expected) return { diffId, sizeBytes }
  throw new SlipwayError('invalid', `Layer ${descriptor.digest} has the diffID ${diffId}, expected ${expected}`)
}

async function* checked(descriptor: Descriptor, blob: Readable): AsyncGenerator<Buffer> {
  const hash = createHash('sha256')
  let sizeBytes = 0
  for await (const chunk of blob) {
    const bytes = Buffer.from(chunk)
    hash.update(bytes)
    sizeBytes += bytes.length
    if (sizeBytes > descriptor.size) break
    yield bytes
  }
  const digest = `sha256:${hash.digest('hex')}`
  if (sizeBytes === descriptor.size && digest === descriptor.digest) return
  const got =
    sizeBytes > descriptor.size ? `more than ${descriptor.size} bytes` : `${sizeBytes} bytes, digest ${digest}`
  throw new SlipwayError('invalid', `Blob ${descriptor.digest} of ${descriptor.size} bytes has ${got}`)
}
