/** The part of the package that is used here; it brings no types of its own. */
declare module 'ws' {
  import type { EventEmitter } from 'node:events'
  import type { IncomingMessage } from 'node:http'
  import type { Duplex } from 'node:stream'

  export type RawData = Buffer | ArrayBuffer | Buffer[]

  export interface WebSocket extends EventEmitter {
    readonly readyState: number
    readonly OPEN: number
    readonly CLOSED: number
    send(data: Uint8Array, sent?: (error?: Error) => void): void
    close(code: number): void
    terminate(): void
    pause(): void
    resume(): void
  }

  export class WebSocketServer {
    constructor(options: {
      noServer: true
      handleProtocols: () => string
      perMessageDeflate: boolean
      maxPayload: number
    })
    handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer, accepted: (socket: WebSocket) => void): void
  }

  export function createWebSocketStream(socket: WebSocket): Duplex
}
