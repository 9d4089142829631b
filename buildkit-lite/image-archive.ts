import { createWriteStream } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type Pack, pack as packTar } from 'tar-stream'
import { type Digest, digestHex } from '#domain/digest'
import { formatImageReference, type ImageReference } from '#domain/image-reference'
import type { BuiltImage } from './contract.ts'
import type { BlobStore } from './layers/blob-store.ts'

export interface ArchiveRequest {
  image: BuiltImage
  names: readonly ImageReference[]
  path: string
}

/** Equal images make equal archives. */
const TIME = new Date(0)

/** An OCI image layout as a tar. https://github.com/opencontainers/image-spec/blob/main/image-layout.md */
export async function writeOciArchive(request: ArchiveRequest, blobs: BlobStore, signal: AbortSignal): Promise<void> {
  await writeArchive(request, blobs, [], signal)
}

/** What `docker load` takes: the same layout with Docker's own list of names. */
export async function writeDockerArchive(
  request: ArchiveRequest,
  blobs: BlobStore,
  signal: AbortSignal,
): Promise<void> {
  const { image, names } = request
  const manifest = [
    {
      Config: blobPath(image.configDigest),
      RepoTags: names.filter((name) => name.tag).map(formatImageReference),
      Layers: image.layers.map((layer) => blobPath(layer.descriptor.digest)),
    },
  ]
  await writeArchive(request, blobs, [{ name: 'manifest.json', bytes: toJson(manifest) }], signal)
}

async function writeArchive(
  { image, names, path }: ArchiveRequest,
  blobs: BlobStore,
  more: readonly { name: string; bytes: Buffer }[],
  signal: AbortSignal,
): Promise<void> {
  const pack = packTar()
  const written = pipeline(pack as unknown as Readable, createWriteStream(path), { signal })
  written.catch(() => {})
  const seen = new Set<Digest>()
  for (const { descriptor } of image.layers) {
    if (seen.has(descriptor.digest)) continue
    seen.add(descriptor.digest)
    const bytes = await blobs.read(descriptor.digest, signal)
    await addEntry(pack, { name: blobPath(descriptor.digest), sizeBytes: descriptor.size }, bytes)
  }
  const files = [
    { name: blobPath(image.configDigest), bytes: image.config },
    { name: blobPath(image.manifestDigest), bytes: image.manifest },
    ...more,
    { name: 'index.json', bytes: toJson(indexOf(image, names)) },
    { name: 'oci-layout', bytes: toJson({ imageLayoutVersion: '1.0.0' }) },
  ]
  for (const { name, bytes } of files) await addEntry(pack, { name, sizeBytes: bytes.length }, Readable.from([bytes]))
  pack.finalize()
  await written
}

async function addEntry(pack: Pack, file: { name: string; sizeBytes: number }, bytes: Readable): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const header = { name: file.name, size: file.sizeBytes, mode: 0o644, mtime: TIME, type: 'file' as const }
  const sink = pack.entry(header, (error) => (error ? reject(error) : resolve()))
  bytes.on('error', reject)
  bytes.pipe(sink)
  await promise
}

/** One descriptor a name, as the layout has no other place for names. */
function indexOf(image: BuiltImage, names: readonly ImageReference[]): object {
  const { architecture, os, variant } = JSON.parse(image.config.toString('utf8')) as Record<string, string>
  const descriptor = {
    mediaType: image.manifestMediaType,
    digest: image.manifestDigest,
    size: image.manifest.length,
    platform: { architecture, os, ...(variant ? { variant } : {}) },
  }
  const manifests = names.map((name) => ({
    ...descriptor,
    annotations: {
      'io.containerd.image.name': formatImageReference(name),
      'org.opencontainers.image.ref.name': name.tag ?? 'latest',
    },
  }))
  return {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: manifests.length > 0 ? manifests : [descriptor],
  }
}

function blobPath(digest: Digest): string {
  return `blobs/sha256/${digestHex(digest)}`
}

function toJson(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value))
}
