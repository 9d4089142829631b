import type { BlobStore, Registry } from '#buildkit-lite'
import type { Layer } from '#domain/digest'
import type { ProjectName } from '#domain/ids'
import { parseImageReference } from '#domain/image-reference'
import type { Logger } from '#host/log'
import type { Store } from '#store/contract'

/** Sends layers of steps to the registry after their builds, so that other workers need not run the steps. */
export interface LayerSharing extends AsyncDisposable {
  /** Returns at once; what cannot be sent is only missing from the cache. */
  share(project: ProjectName, layers: readonly Layer[]): void
}

interface SharingDeps {
  tokens: Store['tokens']
  registryHost: string
  openRegistry: (token: string) => Registry
  blobs: BlobStore
  log: Logger
}

/** The layers of one build are given up after this long. */
const TIME_LIMIT_MS = 10 * 60_000
/** Builds whose layers wait to be sent; those of more are not. */
const MAX_WAITING = 32

/**
 * Layers go to the project's own repository, as those of its images do, one build after the other. No manifest names
 * them: when the registry collects what nothing names, they are gone, and their steps run again where they are missed.
 */
export function openLayerSharing(deps: SharingDeps): LayerSharing {
  const stop = new AbortController()
  let waiting = 0
  let tail = Promise.resolve()
  const next = async (before: Promise<void>, project: ProjectName, layers: readonly Layer[]): Promise<void> => {
    await before
    const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(TIME_LIMIT_MS)])
    try {
      if (!stop.signal.aborted) await send(deps, { project, layers }, signal)
    } catch (error) {
      if (!stop.signal.aborted) deps.log.warn({ err: error, project }, 'layers were not shared with other workers')
    } finally {
      waiting--
    }
  }
  return {
    share: (project, layers) => {
      if (layers.length === 0 || waiting >= MAX_WAITING) return
      waiting++
      tail = next(tail, project, layers)
    },
    async [Symbol.asyncDispose]() {
      stop.abort(new Error('the worker ends'))
      await tail
    },
  }
}

async function send(
  { tokens, registryHost, openRegistry, blobs }: SharingDeps,
  { project, layers }: { project: ProjectName; layers: readonly Layer[] },
  signal: AbortSignal,
): Promise<void> {
  const grant = { kind: 'registry' as const, repository: project, actions: ['pull' as const, 'push' as const] }
  const token = await tokens.issue(grant, `cache of ${project}`, TIME_LIMIT_MS)
  try {
    const registry = openRegistry(token)
    const home = { ...parseImageReference(`${registryHost}/${project}`), tag: null, digest: null }
    for (const { descriptor } of layers) {
      const { digest, size: sizeBytes } = descriptor
      // Disk space may have been needed for something else meanwhile.
      if (!(await blobs.has(digest))) continue
      await registry.pushBlob(home, { digest, sizeBytes, open: () => blobs.read(digest, signal) }, signal)
    }
  } finally {
    await tokens.revoke(token)
  }
}
