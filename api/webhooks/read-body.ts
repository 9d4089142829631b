import type { IncomingMessage } from 'node:http'
import { SlipwayError } from '#domain/errors'

/** GitHub sends up to 25 MB, but no push that needs so much names anything a build wants. */
export const MAX_HOOK_BYTES = 5 * 1024 * 1024
const READ_TIMEOUT_MS = 10_000

/** Reads a body as the bytes that were signed; stops at the limit and the deadline, before anything is hashed. */
export async function readBody(stream: IncomingMessage, limitBytes = MAX_HOOK_BYTES): Promise<Buffer> {
  const tooLarge = () => new SlipwayError('too-large', `The body is larger than ${limitBytes} bytes`)
  if (Number(stream.headers['content-length'] ?? 0) > limitBytes) throw tooLarge()
  const chunks: Buffer[] = []
  let sizeBytes = 0
  const deadline = setTimeout(() => {
    stream.destroy(new SlipwayError('invalid', `The body was not sent within ${READ_TIMEOUT_MS} ms`))
  }, READ_TIMEOUT_MS)
  try {
    // `destroyOnReturn: false` keeps the socket, so that the refusal can still be answered.
    for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
      sizeBytes += chunk.length
      if (sizeBytes > limitBytes) throw tooLarge()
      chunks.push(chunk)
    }
  } finally {
    clearTimeout(deadline)
  }
  return Buffer.concat(chunks)
}
