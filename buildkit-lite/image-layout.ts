import { copyFile, mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { SlipwayError } from '#domain/errors'
import { blobPath, LAYOUT_FILE, layoutIndex, layoutOf, namedDescriptors } from './image/layout.ts'
import type { ArchiveRequest } from './image-archive.ts'
import type { BlobStore } from './layers/blob-store.ts'

const Entry = z.looseObject({ digest: z.string(), annotations: z.record(z.string(), z.string()).optional() })
const ExistingIndex = z.looseObject({ manifests: z.array(Entry) })

/** An OCI image layout as a directory. What a layout holds already stays, but for the names that move to this image. */
export async function writeOciLayout(
  { image, names, path }: ArchiveRequest,
  blobs: BlobStore,
  signal: AbortSignal,
): Promise<void> {
  const layout = layoutOf(image)
  const added = namedDescriptors(layout, names)
  await mkdir(join(path, 'blobs/sha256'), { recursive: true })
  const before = await readEntries(path)
  for (const { descriptor } of layout.layers) {
    signal.throwIfAborted()
    await replaceFile(join(path, blobPath(descriptor.digest)), async (temporary) =>
      copyFile(await blobs.pathOf(descriptor.digest), temporary),
    )
  }
  const texts = [
    ...[...layout.documents].map(([digest, bytes]) => ({ name: blobPath(digest), bytes })),
    { name: LAYOUT_FILE.name, bytes: JSON.stringify(LAYOUT_FILE.content) },
    { name: 'index.json', bytes: JSON.stringify(layoutIndex([...keptOf(before, added), ...added])) },
  ]
  for (const { name, bytes } of texts)
    await replaceFile(join(path, name), async (temporary) => await writeFile(temporary, bytes))
}

type IndexedEntry = z.infer<typeof Entry>

async function readEntries(path: string): Promise<readonly IndexedEntry[]> {
  const text = await readFile(join(path, 'index.json'), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  if (text === null) return []
  const parsed = ExistingIndex.safeParse(parseJson(text))
  if (parsed.success) return parsed.data.manifests
  throw new SlipwayError('invalid', `${path} has an index.json that is no image index, expected an OCI image layout`)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

const NAME = 'io.containerd.image.name'

function keptOf(before: readonly IndexedEntry[], added: readonly Record<string, unknown>[]): readonly IndexedEntry[] {
  const now = added.map((entry) => Entry.parse(entry))
  const nameOf = ({ annotations }: IndexedEntry) => annotations?.[NAME]
  return before.filter((old) =>
    now.every((one) => (nameOf(old) ? nameOf(old) !== nameOf(one) : old.digest !== one.digest)),
  )
}

/** A reader sees the file as it was, or all of the new one. */
async function replaceFile(path: string, write: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = `${path}.slip-${process.pid}`
  await write(temporary)
  await rename(temporary, path)
}
