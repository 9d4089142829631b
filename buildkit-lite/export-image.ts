import { mkdir } from 'node:fs/promises'
import { openSys } from '#host/sys'
import type { SnapshotView } from '#sandbox'
import type { BuildTools, BuiltImage } from './contract.ts'
import { EMPTY_CHAIN, extendChain } from './solver/chain.ts'
import { copyContents } from './solver/copy-entry.ts'
import { createPause } from './solver/copy-task.ts'
import { NO_EXCLUSION, treeOnDisk } from './solver/file-tree.ts'
import { materialise } from './solver/layer-files.ts'
import { plainFiles } from './solver/source-files.ts'

export type ExportTools = Pick<BuildTools, 'blobs' | 'registry' | 'snapshots' | 'sharedWork'>

/** Writes the image's root file system below a directory, owned by whoever runs this. */
export async function exportDirectory(
  image: BuiltImage,
  directory: string,
  tools: ExportTools,
  signal: AbortSignal,
): Promise<void> {
  await using root = await openImageRoot(image, tools, signal)
  await mkdir(directory, { recursive: true })
  await copyRoot(root.rootDir, directory, signal)
}

/** Copies a whole tree into a directory, owned by whoever runs this. */
export async function copyRoot(rootDir: string, directory: string, signal: AbortSignal): Promise<void> {
  const task = {
    sys: openSys(),
    root: directory,
    tree: treeOnDisk(rootDir),
    files: plainFiles(rootDir),
    keepOwner: false,
    owner: { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 },
    mode: null,
    exclusion: NO_EXCLUSION,
    hardLinks: new Map<string, string>(),
    pause: createPause(signal),
  }
  await copyContents(task, '/', '/')
}

/** Fetches the layers that are not here yet, and mounts all of them. */
export async function openImageRoot(image: BuiltImage, tools: ExportTools, signal: AbortSignal): Promise<SnapshotView> {
  await fetchLayers(image, tools, signal)
  const chain = extendChain(
    EMPTY_CHAIN,
    image.layers.map((layer) => ({ layer, source: null })),
  )
  return await tools.snapshots.view(await materialise(tools, chain, signal))
}

/** Brings every layer into the blob store, as writers of image archives need it. */
export async function fetchLayers(
  image: BuiltImage,
  { blobs }: Pick<ExportTools, 'blobs'>,
  signal: AbortSignal,
): Promise<void> {
  for (const layer of image.layers) {
    const { digest, size: sizeBytes } = layer.descriptor
    if (!(await blobs.has(digest)))
      await blobs.write(await image.content.open(layer, signal), { digest, sizeBytes }, signal)
  }
}
