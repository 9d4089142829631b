import { stripVTControlCharacters } from 'node:util'
import type { BuildId } from '#domain/ids'
import type { Store } from '#store/contract'

/** The log's lines as they were printed, whole lines only, until the build has ended. */
export async function* readLog(
  store: Store,
  id: BuildId,
  { plain }: { plain: boolean },
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  for await (const { event } of store.builds.events(id, null, signal)) {
    if (event.kind === 'finished') return
    if (event.kind !== 'log' || event.unfinished) continue
    yield Buffer.from(plain ? stripVTControlCharacters(event.text) : event.text)
  }
}

/** The bytes from `first` to `last`, both included. */
export async function* sliceBytes(chunks: AsyncIterable<Buffer>, first: number, last: number): AsyncGenerator<Buffer> {
  let at = 0
  for await (const chunk of chunks) {
    if (at > last) return
    const part = chunk.subarray(Math.max(0, first - at), last + 1 - at)
    if (part.length > 0) yield part
    at += chunk.length
  }
}
