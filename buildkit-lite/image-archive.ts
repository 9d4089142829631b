import { createWriteStream } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type Pack, pack as packTar } from 'tar-stream'
import { SlipwayError } from '#domain/errors'
import { formatImageReference, type ImageReference } from '#domain/image-reference'
import type { BuiltResult } from './built-result.ts'
import type { BuiltImage } from './contract.ts'
import { blobPath, LAYOUT_FILE, layoutIndex, layoutOf, namedDescriptors } from './image/layout.ts'
import type { BlobStore } from './layers/blob-store.ts'

export interface ArchiveRequest {
  image: BuiltImage | BuiltResult
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
  const image = onlyImage(request.image)
  const manifest = [
    {
      Config: blobPath(image.configDigest),
      RepoTags: request.names.filter((name) => name.tag).map(formatImageReference),
      Layers: image.layers.map((layer) => blobPath(layer.descriptor.digest)),
    },
  ]
  await writeArchive(request, blobs, [{ name: 'manifest.json', bytes: toJson(manifest) }], signal)
}

/** Docker's archives hold images, and no index of several. */
export function onlyImage(built: BuiltImage | BuiltResult): BuiltImage {
  if (!('images' in built)) return built
  if (!built.isIndex) return built.images[0].image
  const what = built.images.length > 1 ? `an index of ${built.images.length} platforms` : 'an image with attestations'
  throw new SlipwayError(
    'unsupported',
    `docker exporter does not currently support exporting manifest lists: this is ${what}, use type=oci or push it`,
  )
}

async function writeArchive(
  { image, names, path }: ArchiveRequest,
  blobs: BlobStore,
  more: readonly { name: string; bytes: Buffer }[],
  signal: AbortSignal,
): Promise<void> {
  const layout = layoutOf(image)
  const pack = packTar()
  const written = pipeline(pack as unknown as Readable, createWriteStream(path), { signal })
  written.catch(() => {})
  const archive = { pack, written }
  for (const { descriptor } of layout.layers) {
    const bytes = await blobs.read(descriptor.digest, signal)
    await addEntry(archive, { name: blobPath(descriptor.digest), sizeBytes: descriptor.size }, bytes)
  }
  const files = [
    ...[...layout.documents].map(([digest, bytes]) => ({ name: blobPath(digest), bytes })),
    ...more,
    { name: 'index.json', bytes: toJson(layoutIndex(namedDescriptors(layout, names))) },
    { name: LAYOUT_FILE.name, bytes: toJson(LAYOUT_FILE.content) },
  ]
  for (const { name, bytes } of files)
    await addEntry(archive, { name, sizeBytes: bytes.length }, Readable.from([bytes]))
  pack.finalize()
  await written
}

/** An archive that cannot be written any more ends its entries, too. */
async function addEntry(
  { pack, written }: { pack: Pack; written: Promise<void> },
  file: { name: string; sizeBytes: number },
  bytes: Readable,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  promise.catch(() => {})
  bytes.on('error', reject)
  try {
    const header = { name: file.name, size: file.sizeBytes, mode: 0o644, mtime: TIME, type: 'file' as const }
    const sink = pack.entry(header, (error) => (error ? reject(error) : resolve()))
    sink.on('error', reject)
    bytes.pipe(sink)
    await Promise.race([promise, written])
  } finally {
    bytes.destroy()
  }
}

function toJson(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value))
}
