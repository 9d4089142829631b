import { createReadStream } from 'node:fs'
import { mkdtempDisposable, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { importRootfs, openBlobStore, pushImage, type RootfsSource } from '#buildkit-lite'
import type { Digest } from '#domain/digest'
import { SlipwayError } from '#domain/errors'
import { formatImageReference, type ImageReference, namesRegistry, parseImageReference } from '#domain/image-reference'
import type { Config } from '#host/config'
import { openRegistry } from './registry-access.ts'

export interface ImportRequest {
  /** A tar archive, a directory, or `-`. */
  source: string
  /** A name without a registry is one of ours. */
  name: string
  /** Instructions such as `CMD ["sh"]`. */
  changes: readonly string[]
}

/** Makes a root file system a one-layer image and pushes it. */
export async function importImage(
  config: Config,
  request: ImportRequest,
  signal: AbortSignal,
): Promise<{ reference: string; digest: Digest }> {
  const reference = referenceOf(request.name, config.registryHost)
  const registry = await openRegistry(config, homedir())
  // The blobs are in the registry afterwards; here they are needed for the push only.
  await using work = await mkdtempDisposable(join('/var/tmp', 'slipway-import-'))
  const blobs = await openBlobStore(work.path)
  const image = await importRootfs(await openSource(request.source), request.changes, blobs, signal)
  await pushImage(image, [reference], registry, signal)
  return { reference: formatImageReference(reference), digest: image.manifestDigest }
}

/** `busybox` is our registry's `library/busybox`, where `FROM busybox` looks first. */
function referenceOf(name: string, registryHost: string): ImageReference {
  const reference = parseImageReference(name)
  const registry = namesRegistry(name) ? reference.registry : registryHost
  return { ...parseImageReference(formatImageReference(reference)), registry }
}

async function openSource(source: string): Promise<RootfsSource> {
  if (source === '-') return { kind: 'archive', bytes: process.stdin }
  const stats = await stat(source).catch((error: unknown) => {
    throw new SlipwayError('not-found', `${source} cannot be imported: ${String(error)}`, { cause: error })
  })
  if (stats.isDirectory()) return { kind: 'directory', path: resolve(source) }
  return { kind: 'archive', bytes: createReadStream(source) }
}
