import type { Duplex } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { messageOf } from '#domain/errors'
import { SpdyConnection } from './spdy.ts'

export const PORT_FORWARD_PROTOCOL = 'portforward.k8s.io'
/** The same inside a WebSocket. */
export const PORT_FORWARD_TUNNEL = 'SPDY/3.1+portforward.k8s.io'

type Connect = (port: number) => Promise<Duplex>

/** Serves connections to a pod's ports: for each the client opens one stream for errors and one for data. */
export async function servePortForward(transport: Duplex, connect: Connect): Promise<void> {
  const errors = new Map<string, Duplex>()
  const waiting = new Map<string, Duplex>()
  const connection = new SpdyConnection(transport, ({ headers, data }) => {
    const id = headers.get('requestid') ?? ''
    const mine = headers.get('streamtype') === 'error' ? errors : waiting
    mine.set(id, data)
    const [error, stream] = [errors.get(id), waiting.get(id)]
    if (!error || !stream) return
    errors.delete(id)
    waiting.delete(id)
    void forward(Number(headers.get('port')), { stream, error, connect })
  })
  await connection.serve()
}

async function forward(
  port: number,
  { stream, error, connect }: { stream: Duplex; error: Duplex; connect: Connect },
): Promise<void> {
  try {
    if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new RangeError(`port ${port} is none`)
    const socket = await connect(port)
    await Promise.all([pipeline(stream, socket), pipeline(socket, stream)])
    error.end()
  } catch (cause) {
    // A connection that one side cuts is an ordinary end of it; kubectl prints what it is told and goes on.
    const isCut = ['ECONNRESET', 'EPIPE', 'ERR_STREAM_PREMATURE_CLOSE'].includes(
      (cause as { code?: string }).code ?? '',
    )
    if (isCut) error.end()
    else error.end(`an error occurred forwarding to port ${port}: ${messageOf(cause)}`)
    stream.end()
  }
}
