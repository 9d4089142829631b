import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { PassThrough, type Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { SlipwayError } from '#domain/errors'
import { exited, spawn } from '#host/exec'
import { readCgiHead } from './cgi-head.ts'

export interface BackendCall {
  env: Record<string, string>
  request: IncomingMessage
  /** Let a program whose client has gone run to its end: a push that was taken is finished. */
  finishesAlone: boolean
  signal: AbortSignal
}

export interface BackendAnswer {
  status: number
  headers: Record<string, string>
  body: Readable
  /** Resolves when the program has ended. */
  ended: Promise<void>
}

const MAX_BACKENDS = 64
const STDERR_CHARS = 4000

/** Runs `git http-backend`, a few at a time. https://git-scm.com/docs/git-http-backend */
export class GitBackends {
  #running = 0

  async call(call: BackendCall): Promise<BackendAnswer> {
    if (this.#running >= MAX_BACKENDS)
      throw new SlipwayError('unavailable', `${MAX_BACKENDS} git requests are running, try again`)
    this.#running++
    const child = spawn('git', ['http-backend'], {
      env: call.env,
      stdio: ['pipe', 'pipe', 'pipe'],
      signal: call.signal,
    })
    let complaints = ''
    child.stderr?.on('data', (chunk: Buffer) => (complaints = (complaints + chunk).slice(-STDERR_CHARS)))
    const ended = exited(child).then(
      () => void this.#running--,
      () => void this.#running--,
    )
    const { stdin, stdout } = child
    if (!stdin || !stdout) throw new SlipwayError('internal', 'git http-backend was started without pipes')
    // It may answer without reading all, and its client may leave before sending all: both end the input.
    pipeline(call.request, stdin).catch(() => {})
    const head = await readCgiHead(stdout)
    if (!head) {
      await ended
      throw new SlipwayError('internal', `git http-backend ended without an answer: ${complaints.trim()}`)
    }
    const body = new PassThrough()
    stdout.pipe(body)
    body.once('close', () => {
      if (body.readableEnded) return
      stdout.unpipe(body)
      if (call.finishesAlone) stdout.resume()
      else child.kill('SIGTERM')
    })
    return { ...head, body, ended }
  }
}

/** Resolves once a stream is closed, whoever closed it. */
export async function closed(stream: Readable): Promise<void> {
  if (!stream.closed) await once(stream, 'close').catch(() => {})
}
