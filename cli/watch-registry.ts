import { Readable } from 'node:stream'
import type { Registry } from '#buildkit-lite'
import { formatImageReference, parseImageReference } from '#domain/image-reference'
import type { Amount, Progress, Tell } from './progress.ts'
import { replaceMethods } from './watch-inputs.ts'

/** The same client; finding out what is behind a name and fetching layers are shown. */
export function watchRegistry(registry: Registry, progress: Pick<Progress, 'during'>): Registry {
  const pulls = new Map<string, Pull>()
  const resolve: Registry['resolve'] = async (name, platform, signal) => {
    const title = `[internal] load metadata for ${formatImageReference(parseImageReference(name))}`
    return await progress.during(title, async () => await registry.resolve(name, platform, signal))
  }
  const openBlob: Registry['openBlob'] = async (from, descriptor, signal) => {
    const image = formatImageReference(from)
    const pull = pulls.get(image) ?? new Pull(`[internal] pull ${image}`, progress)
    pulls.set(image, pull)
    return await pull.open(descriptor, () => registry.openBlob(from, descriptor, signal))
  }
  return replaceMethods(registry, { resolve, openBlob })
}

/** So often it is told how far a blob is. */
const TELL_BYTES = 1_000_000

/** The blobs of one image that are being fetched; it is shown from the first of them to the last. */
class Pull {
  readonly #title: string
  readonly #progress: Pick<Progress, 'during'>
  #open = 0
  #tell: Promise<Tell> | null = null
  #end: (failure: unknown) => void = () => {}

  constructor(title: string, progress: Pick<Progress, 'during'>) {
    this.#title = title
    this.#progress = progress
  }

  async open({ digest, size }: { digest: string; size: number }, openBlob: () => Promise<Readable>): Promise<Readable> {
    this.#open += 1
    const tell = await this.#begin()
    let blob: Readable
    try {
      blob = await openBlob()
    } catch (error) {
      this.#leave(error)
      throw error
    }
    const counted = Readable.from(
      count(blob, size, (amount) => tell(digest, amount)),
      { objectMode: false },
    )
    counted.once('close', () => {
      blob.destroy()
      this.#leave(counted.errored)
    })
    return counted
  }

  #begin(): Promise<Tell> {
    const begun = Promise.withResolvers<Tell>()
    if (this.#tell) return this.#tell
    this.#tell = begun.promise
    const ended = Promise.withResolvers<void>()
    this.#end = (failure) => (failure === null ? ended.resolve() : ended.reject(failure))
    const showing = this.#progress.during(this.#title, async (tell) => {
      begun.resolve(tell)
      await ended.promise
    })
    // Whoever reads the blob is told of its failure.
    showing.catch(() => {})
    return begun.promise
  }

  #leave(failure: unknown): void {
    this.#open -= 1
    if (this.#open > 0 && failure === null) return
    this.#tell = null
    this.#end(failure)
  }
}

async function* count(
  blob: Readable,
  totalBytes: number,
  tell: (amount: Amount) => Promise<void>,
): AsyncGenerator<Buffer> {
  let currentBytes = 0
  let toldBytes = 0
  for await (const piece of blob as AsyncIterable<Buffer>) {
    currentBytes += piece.length
    if (currentBytes - toldBytes >= TELL_BYTES || currentBytes === totalBytes) {
      toldBytes = currentBytes
      await tell({ currentBytes, totalBytes })
    }
    yield piece
  }
}
