import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Descriptor } from '#domain/digest'
import { BACKOFF, type RegistryConnection } from './connection.ts'
import { pullScopes } from './fetch-manifest.ts'
import type { HttpResponse } from './http.ts'
import { describe, errorOfConnection, RegistryError, type Task } from './registry-error.ts'

/**
 * Opens a blob. What is read is checked: too many bytes or a wrong digest end the stream with an error. A connection
 * that breaks is taken up again where it broke.
 */
export async function fetchBlob(
  connection: RegistryConnection,
  wanted: { task: Task; descriptor: Descriptor },
  signal: AbortSignal,
): Promise<Readable> {
  const first = await connection.requestAgain(requestFrom(wanted, 0), signal)
  return Readable.from(checkedBytes(connection, { ...wanted, first }, signal), { objectMode: false })
}

function requestFrom({ task, descriptor }: { task: Task; descriptor: Descriptor }, offset: number) {
  return {
    method: 'GET',
    target: `/v2/${task.repository}/blobs/${descriptor.digest}`,
    headers: offset === 0 ? {} : { range: `bytes=${offset}-` },
    task,
    scopes: pullScopes(task),
    okStatuses: [200, 206],
  } as const
}

async function* checkedBytes(
  connection: RegistryConnection,
  { task, descriptor, first }: { task: Task; descriptor: Descriptor; first: HttpResponse },
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const hash = createHash('sha256')
  let offset = 0
  for await (const chunk of resumedBytes(connection, { task, descriptor, first }, signal)) {
    offset += chunk.length
    if (offset > descriptor.size) {
      throw new RegistryError(
        'registry-unavailable',
        `${describe(task)} failed: blob ${descriptor.digest} has more than the expected ${descriptor.size} bytes`,
      )
    }
    hash.update(chunk)
    yield chunk
  }
  const digest = `sha256:${hash.digest('hex')}`
  if (digest === descriptor.digest) return
  throw new RegistryError(
    'registry-unavailable',
    `${describe(task)} failed: a blob has the digest ${digest}, expected ${descriptor.digest}`,
  )
}

async function* resumedBytes(
  connection: RegistryConnection,
  { task, descriptor, first }: { task: Task; descriptor: Descriptor; first: HttpResponse },
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  let offset = 0
  let response: HttpResponse | null = first
  for (let failures = 0; ; ) {
    response ??= await connection.requestAgain(requestFrom({ task, descriptor }, offset), signal)
    try {
      for await (const chunk of fromOffset(response, offset)) {
        offset += chunk.length
        failures = 0
        yield chunk
      }
      if (offset >= descriptor.size) return
      throw new Error(`the connection ended after ${offset} of ${descriptor.size} bytes`)
    } catch (error) {
      if (signal.aborted) throw signal.reason
      if (++failures >= BACKOFF.attempts) throw errorOfConnection(task, error)
      await sleep(BACKOFF.firstDelayMs * 2 ** (failures - 1), undefined, { signal })
    } finally {
      response.body.destroy()
      response = null
    }
  }
}

/** The answer's bytes from `offset` of the blob on, also where the server sent all of it again. */
async function* fromOffset(response: HttpResponse, offset: number): AsyncGenerator<Buffer> {
  const start = /^bytes (\d+)-/.exec(response.headers['content-range'] ?? '')?.[1]
  if (response.status === 206 && Number(start ?? 0) !== offset) {
    throw new Error(`the server continued at byte ${start}, expected ${offset}`)
  }
  let skipped = response.status === 206 ? offset : 0
  for await (const chunk of response.body) {
    const rest = chunk.subarray(Math.min(chunk.length, offset - skipped))
    skipped += chunk.length - rest.length
    if (rest.length > 0) yield rest
  }
}
