import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { SlipwayError } from '#domain/errors'
import type { RemoteStreams } from './remote-command.ts'
import { SpdyConnection } from './spdy.ts'
import type { WantedStreams } from './websocket-command.ts'

export const SPDY_COMMAND_PROTOCOLS = ['v4.channel.k8s.io']
/** How long the client may take to open its streams. */
const STREAMS_MS = 30_000
/** For the last words to leave before the connection is cut. */
const LINGER_MS = 1000

/** Resolves when the client has opened every stream that its request announced. */
export async function spdyCommand(transport: Duplex, wanted: WantedStreams): Promise<RemoteStreams> {
  const names = ['error']
  if (wanted.stdin) names.push('stdin')
  if (wanted.stdout) names.push('stdout')
  if (wanted.stderr && !wanted.tty) names.push('stderr')
  if (wanted.tty) names.push('resize')
  const streams = new Map<string, Duplex>()
  const complete = Promise.withResolvers<void>()
  const connection = new SpdyConnection(transport, ({ headers, data }) => {
    streams.set(headers.get('streamtype') ?? '', data)
    if (names.every((name) => streams.has(name))) complete.resolve()
  })
  const gone = new AbortController()
  const serve = async () => {
    await connection.serve().catch(() => {})
    gone.abort(new Error('the client has gone'))
    complete.reject(new SlipwayError('cancelled', 'The client has gone before its streams were open'))
  }
  const served = serve()
  const late = setTimeout(() => transport.destroy(), STREAMS_MS)
  await complete.promise.finally(() => clearTimeout(late))
  const streamOf = (name: string) => streams.get(name) ?? null
  return {
    stdin: streamOf('stdin'),
    stdout: streamOf('stdout'),
    stderr: streamOf('stderr'),
    sizes: streamOf('resize'),
    gone: gone.signal,
    finish: async (status) => {
      const error = streamOf('error')
      for (const name of ['stdout', 'stderr']) streamOf(name)?.end()
      error?.end(JSON.stringify(status))
      if (error && !error.writableFinished && !error.destroyed) await once(error, 'finish').catch(() => {})
      // The client closes when it has read the status.
      await Promise.race([served, sleep(LINGER_MS, undefined, { ref: false })])
      connection.close()
    },
  }
}
