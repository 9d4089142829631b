import { once } from 'node:events'
import { Duplex } from 'node:stream'
import { SlipwayError } from '#domain/errors'
import { HeaderCodec, type SpdyHeaders } from './spdy-headers.ts'

const CONTROL = 0x8003
const FRAME = { synStream: 1, synReply: 2, reset: 3, ping: 6, goAway: 7 } as const
const FLAG_FIN = 1
const HEADER_BYTES = 8
/** Longer frames than kubectl makes are no frames of its. */
const MOST_FRAME_BYTES = 1024 * 1024
const DATA_BYTES = 32 * 1024
const STATUS_CANCEL = 5

/** A stream that the client has opened. */
export interface SpdyStream {
  readonly headers: SpdyHeaders
  readonly data: Duplex
}

/**
 * The server's end of a SPDY/3.1 connection, as kubectl speaks it to carry streams. There is no flow control: kubectl
 * knows none, and a slow reader slows the whole connection.
 * https://www.chromium.org/spdy/spdy-protocol/spdy-protocol-draft3-1/
 */
export class SpdyConnection {
  readonly #transport: Duplex
  readonly #codec = new HeaderCodec()
  readonly #streams = new Map<number, Duplex>()
  readonly #opened: (stream: SpdyStream) => void

  constructor(transport: Duplex, opened: (stream: SpdyStream) => void) {
    this.#transport = transport
    this.#opened = opened
    transport.on('error', () => transport.destroy())
  }

  /** Serves until the connection ends. Fails where the client breaks the protocol. */
  async serve(): Promise<void> {
    let bytes: Buffer = Buffer.alloc(0)
    try {
      for await (const chunk of this.#transport as AsyncIterable<Buffer>) {
        bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk])
        bytes = await this.#frames(bytes)
      }
    } catch (error) {
      if (error instanceof SlipwayError) throw error
      // The client has gone, with or without a word.
    } finally {
      this.close()
    }
  }

  close(): void {
    for (const stream of this.#streams.values()) stream.destroy()
    this.#streams.clear()
    this.#codec[Symbol.dispose]()
    this.#transport.end()
  }

  /** Handles the whole frames and returns the rest. */
  async #frames(bytes: Buffer): Promise<Buffer> {
    let rest = bytes
    while (rest.length >= HEADER_BYTES) {
      const length = rest.readUIntBE(5, 3)
      if (length > MOST_FRAME_BYTES) throw new SlipwayError('invalid', `SPDY frame of ${length} bytes`)
      if (rest.length < HEADER_BYTES + length) break
      await this.#frame(rest.subarray(0, HEADER_BYTES), rest.subarray(HEADER_BYTES, HEADER_BYTES + length))
      rest = rest.subarray(HEADER_BYTES + length)
    }
    return rest
  }

  async #frame(header: Buffer, body: Buffer): Promise<void> {
    const flags = header.readUInt8(4)
    if ((header.readUInt8(0) & 0x80) === 0) return await this.#data(header.readUInt32BE(0), body, flags)
    if (header.readUInt16BE(0) !== CONTROL) throw new SlipwayError('invalid', 'Not a frame of SPDY/3.1')
    switch (header.readUInt16BE(2)) {
      case FRAME.synStream:
        return await this.#open(body, flags)
      case FRAME.reset:
        this.#streams.get(body.readUInt32BE(0))?.destroy()
        return
      case FRAME.ping:
        this.#transport.write(frame(FRAME.ping, 0, body))
        return
      case FRAME.goAway:
        this.#transport.end()
        return
      default:
      // Settings and windows do not matter here.
    }
  }

  async #open(body: Buffer, flags: number): Promise<void> {
    const id = body.readUInt32BE(0) & 0x7fffffff
    const headers = await this.#codec.decode(body.subarray(10))
    const number = Buffer.alloc(4)
    number.writeUInt32BE(id)
    this.#transport.write(frame(FRAME.synReply, 0, Buffer.concat([number, await this.#codec.encode(new Map())])))
    const data = this.#makeStream(id)
    this.#streams.set(id, data)
    if (flags & FLAG_FIN) data.push(null)
    this.#opened({ headers, data })
  }

  async #data(id: number, body: Buffer, flags: number): Promise<void> {
    const stream = this.#streams.get(id)
    if (!stream || stream.destroyed) return
    if (body.length > 0 && !stream.push(Buffer.from(body))) await once(stream, 'more').catch(() => {})
    if (flags & FLAG_FIN && !stream.destroyed) stream.push(null)
  }

  #makeStream(id: number): Duplex {
    const transport = this.#transport
    const send = (body: Buffer, flags: number, done: (error?: Error | null) => void) => {
      if (transport.writableEnded || transport.destroyed) return done()
      transport.write(Buffer.concat([dataHeader(id, flags, body.length), body]), () => done())
    }
    let isWhole = false
    const stream: Duplex = new Duplex({
      allowHalfOpen: true,
      read: () => stream.emit('more'),
      write: (chunk: Buffer, _encoding, done) => {
        // One frame after the other, each of a size that others can pass between.
        for (let at = 0; at < chunk.length; at += DATA_BYTES) {
          const isLast = at + DATA_BYTES >= chunk.length
          send(chunk.subarray(at, at + DATA_BYTES), 0, isLast ? done : () => {})
        }
        if (chunk.length === 0) done()
      },
      final: (done) => {
        isWhole = true
        send(Buffer.alloc(0), FLAG_FIN, done)
      },
      destroy: (error, done) => {
        stream.emit('more')
        this.#streams.delete(id)
        const canSend = !isWhole && !transport.writableEnded && !transport.destroyed
        if (canSend) transport.write(frame(FRAME.reset, 0, resetBody(id)))
        done(error)
      },
    })
    stream.on('error', () => {})
    return stream
  }
}

function resetBody(id: number): Buffer {
  const body = Buffer.alloc(8)
  body.writeUInt32BE(id, 0)
  body.writeUInt32BE(STATUS_CANCEL, 4)
  return body
}

function dataHeader(id: number, flags: number, length: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeUInt32BE(id, 0)
  header.writeUInt8(flags, 4)
  header.writeUIntBE(length, 5, 3)
  return header
}

function frame(type: number, flags: number, body: Buffer): Buffer {
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeUInt16BE(CONTROL, 0)
  header.writeUInt16BE(type, 2)
  header.writeUInt8(flags, 4)
  header.writeUIntBE(body.length, 5, 3)
  return Buffer.concat([header, body])
}
