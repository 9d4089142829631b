import type { Readable } from 'node:stream'
import type { Digest } from '#domain/digest'
import type { BlobStore } from '../layers/blob-store.ts'
import { LostLayerError } from './lost-layer.ts'

/** A blob that is elsewhere. */
export interface RemoteBlob {
  sizeBytes: number
  open(this: void, signal: AbortSignal): Promise<Readable>
}

/**
 * A blob store that has what is in `remote` too: whoever wants such a blob's bytes makes it come into `local`, checked.
 * One that cannot be had is taken out of `remote` and told to `onLoss`, and its reader gets a `LostLayerError`.
 */
export function openLazyBlobs(
  local: BlobStore,
  remote: Map<Digest, RemoteBlob>,
  onLoss: (loss: LostLayerError) => void,
): BlobStore {
  const bring = createFetcher(local, remote, onLoss)
  return {
    stage: () => local.stage(),
    write: (source, expected, signal) => local.write(source, expected, signal),
    has: async (digest) => (await local.has(digest)) ?? remote.get(digest) ?? null,
    pathOf: async (digest) => {
      await bring(digest, NEVER)
      return await local.pathOf(digest)
    },
    read: async (digest, signal) => {
      await bring(digest, signal)
      return await local.read(digest, signal)
    },
  }
}

const NEVER = new AbortController().signal

/** Brings a blob that is elsewhere, once for all who want it at the same time. */
function createFetcher(
  local: BlobStore,
  remote: Map<Digest, RemoteBlob>,
  onLoss: (loss: LostLayerError) => void,
): (digest: Digest, signal: AbortSignal) => Promise<void> {
  const fetching = new Map<Digest, Promise<void>>()
  const lost = new Map<Digest, LostLayerError>()
  const fetch = async (digest: Digest, { sizeBytes, open }: RemoteBlob, signal: AbortSignal): Promise<void> => {
    try {
      await local.write(await open(signal), { digest, sizeBytes }, signal)
    } catch (error) {
      if (signal.aborted) throw signal.reason
      const loss = new LostLayerError(digest, error)
      remote.delete(digest)
      lost.set(digest, loss)
      onLoss(loss)
      throw loss
    } finally {
      fetching.delete(digest)
    }
  }
  return async (digest, signal) => {
    for (;;) {
      if (await local.has(digest)) return
      const loss = lost.get(digest)
      if (loss) throw loss
      const blob = remote.get(digest)
      if (!blob) return
      const running = fetching.get(digest)
      const work = running ?? fetch(digest, blob, signal)
      if (!running) fetching.set(digest, work)
      // Another's fetch may end with its own signal; then it is our turn.
      await work.catch((error: unknown) => {
        if (!running || error instanceof LostLayerError) throw error
      })
      signal.throwIfAborted()
    }
  }
}
