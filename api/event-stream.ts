import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyReply } from 'fastify'
import { messageOf } from '#domain/errors'

/** One event as https://html.spec.whatwg.org/multipage/server-sent-events.html frames it. */
export interface EventFrame {
  id?: string
  event: string
  data: unknown
}

export interface EventStreamOptions {
  frames: (signal: AbortSignal) => AsyncIterable<EventFrame>
  /** Asked again every few seconds: the stream ends soon after the right to read it does. */
  isAllowed: () => Promise<boolean>
  /** Aborts when the server stops. */
  closing: AbortSignal
}

const HEARTBEAT_MS = 15_000
const RECHECK_MS = 2_000

/** Answers with an event stream that ends with its frames, its reader, its right, or the server. */
export function sendEventStream(reply: FastifyReply, options: EventStreamOptions): FastifyReply {
  const ended = new AbortController()
  reply.raw.once('close', () => ended.abort(new Error('the reader is gone')))
  const out = new PassThrough()
  void writeFrames(out, options, AbortSignal.any([ended.signal, options.closing])).finally(() => ended.abort())
  void endWithoutRight(options.isAllowed, ended)
  return reply
    .headers({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      // Proxies that buffer would hold events back.
      'x-accel-buffering': 'no',
      // Without it a stopping server would wait for the idle connection.
      connection: 'close',
    })
    .send(out)
}

async function writeFrames(out: PassThrough, options: EventStreamOptions, signal: AbortSignal): Promise<void> {
  const heartbeat = setInterval(() => out.write(': still here\n\n'), HEARTBEAT_MS)
  try {
    out.write('retry: 2000\n\n')
    for await (const frame of options.frames(signal)) {
      if (signal.aborted) break
      if (!out.write(encodeFrame(frame))) await once(out, 'drain', { signal })
    }
  } catch (error) {
    // Not `error`: a browser's EventSource has an event of that name for its connection.
    if (!signal.aborted) out.write(encodeFrame({ event: 'fault', data: { message: messageOf(error) } }))
  } finally {
    clearInterval(heartbeat)
    out.end()
  }
}

async function endWithoutRight(isAllowed: () => Promise<boolean>, ended: AbortController): Promise<void> {
  while (!ended.signal.aborted) {
    await sleep(RECHECK_MS, undefined, { signal: ended.signal, ref: false }).catch(() => {})
    if (ended.signal.aborted) return
    // A store that does not answer takes nobody's right away.
    if (!(await isAllowed().catch(() => true))) ended.abort(new Error('the right to read this ended'))
  }
}

function encodeFrame({ id, event, data }: EventFrame): string {
  return `${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`
}
