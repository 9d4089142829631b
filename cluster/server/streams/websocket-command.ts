import { Buffer } from 'node:buffer'
import { once } from 'node:events'
import { PassThrough, Writable } from 'node:stream'
import type { RawData, WebSocket } from 'ws'
import type { RemoteStreams } from './remote-command.ts'

/** The first byte of every message. https://kubernetes.io/blog/2024/08/20/websockets-transition/ */
const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, status: 3, size: 4, close: 255 } as const

/** With the fifth version the client can say that its input has ended. */
export const COMMAND_PROTOCOLS = ['v5.channel.k8s.io', 'v4.channel.k8s.io']

export interface WantedStreams {
  stdin: boolean
  stdout: boolean
  stderr: boolean
  tty: boolean
}

export function commandOver(socket: WebSocket, wanted: WantedStreams): RemoteStreams {
  const stdin = wanted.stdin ? new PassThrough() : null
  const sizes = wanted.tty ? new PassThrough() : null
  const gone = new AbortController()
  socket.on('message', (message: RawData) => {
    const bytes = toBuffer(message)
    const [channel, second] = bytes
    const rest = bytes.subarray(1)
    if (channel === CHANNEL.stdin && stdin && !stdin.writableEnded) pushBack(socket, stdin, rest)
    else if (channel === CHANNEL.size) sizes?.write(rest)
    else if (channel === CHANNEL.close && second === CHANNEL.stdin) stdin?.end()
  })
  socket.on('error', () => socket.terminate())
  socket.once('close', () => {
    stdin?.end()
    gone.abort(new Error('the client has gone'))
  })
  return {
    stdin,
    stdout: wanted.stdout ? channelOf(socket, CHANNEL.stdout) : null,
    stderr: wanted.stderr && !wanted.tty ? channelOf(socket, CHANNEL.stderr) : null,
    sizes,
    gone: gone.signal,
    finish: async (status) => {
      socket.send(Buffer.concat([Buffer.of(CHANNEL.status), Buffer.from(JSON.stringify(status))]))
      if (socket.readyState === socket.CLOSED) return
      socket.close(1000)
      await once(socket, 'close')
    },
  }
}

/** A program that does not read makes its client wait. */
function pushBack(socket: WebSocket, stdin: PassThrough, bytes: Buffer): void {
  if (stdin.write(bytes)) return
  socket.pause()
  stdin.once('drain', () => socket.resume())
}

function channelOf(socket: WebSocket, channel: number): Writable {
  return new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      if (socket.readyState !== socket.OPEN) return done()
      socket.send(Buffer.concat([Buffer.of(channel), chunk]), () => done())
    },
  })
}

function toBuffer(message: RawData): Buffer {
  if (Array.isArray(message)) return Buffer.concat(message)
  return Buffer.isBuffer(message) ? message : Buffer.from(message)
}
