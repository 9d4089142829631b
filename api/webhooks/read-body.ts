import type { IncomingMessage } from 'node:http'
import { SlipwayError } from '#domain/errors'

/** Larger webhooks are refused: what a build wants to know of a push is at the head of it, and lists end at 2048 commits. */
const MAX_HOOK_BYTES = 5 * 1024 * 1024
const READ_TIMEOUT_MS = 10_000
/** What anybody may make us hold before there is a turn to wait for. */
const SMALL_BYTES = 256 * 1024
/** Large bodies that are held at once, however many are sent: they are not known to be authentic yet. */
const LARGE_AT_ONCE = 6

/** Reads bodies as the bytes that were signed, within limits of size, time and, all together, memory. */
export class BodyReader {
  #freeTurns = LARGE_AT_ONCE
  readonly #waiting: (() => void)[] = []

  /** Stops at the limit and at the deadline, before anything is hashed. */
  async read(stream: IncomingMessage, limitBytes = MAX_HOOK_BYTES): Promise<Buffer> {
    const deadline = setTimeout(() => {
      stream.destroy(new SlipwayError('invalid', `The body was not sent within ${READ_TIMEOUT_MS} ms`))
    }, READ_TIMEOUT_MS)
    let hasTurn = false
    const beforeMore = async (sizeBytes: number) => {
      if (hasTurn || sizeBytes <= SMALL_BYTES) return
      await this.#takeTurn()
      hasTurn = true
    }
    try {
      return await readWithin(stream, limitBytes, beforeMore)
    } finally {
      clearTimeout(deadline)
      if (hasTurn) this.#giveTurn()
    }
  }

  async #takeTurn(): Promise<void> {
    if (this.#freeTurns > 0) {
      this.#freeTurns--
      return
    }
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#waiting.push(resolve)
    await promise
  }

  #giveTurn(): void {
    const next = this.#waiting.shift()
    if (next) next()
    else this.#freeTurns++
  }
}

/** Reads a small body, as nobody but ourselves and the admin send it. */
export async function readBody(stream: IncomingMessage, limitBytes: number): Promise<Buffer> {
  return new BodyReader().read(stream, limitBytes)
}

async function readWithin(
  stream: IncomingMessage,
  limitBytes: number,
  beforeMore: (sizeBytes: number) => Promise<void>,
): Promise<Buffer> {
  const tooLarge = () => new SlipwayError('too-large', `The body is larger than ${limitBytes} bytes`)
  if (Number(stream.headers['content-length'] ?? 0) > limitBytes) throw tooLarge()
  const chunks: Buffer[] = []
  let sizeBytes = 0
  // `destroyOnReturn: false` keeps the socket, so that the refusal can still be answered.
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
    sizeBytes += chunk.length
    if (sizeBytes > limitBytes) throw tooLarge()
    await beforeMore(sizeBytes)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
