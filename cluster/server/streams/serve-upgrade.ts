import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { createWebSocketStream, type WebSocket, WebSocketServer } from 'ws'
import type { PodSessions, Session } from '../../contract.ts'
import type { Pod } from '../../kinds.ts'
import type { ObjectStore } from '../../objects.ts'
import { badRequest, notFound, toApiError, unknownPath } from '../api-error.ts'
import { flag, parseTarget } from '../api-request.ts'
import { PORT_FORWARD_PROTOCOL, PORT_FORWARD_TUNNEL, servePortForward } from './port-forward.ts'
import { type RemoteStreams, serveSession } from './remote-command.ts'
import { SPDY_COMMAND_PROTOCOLS, spdyCommand } from './spdy-command.ts'
import { COMMAND_PROTOCOLS, commandOver, type WantedStreams } from './websocket-command.ts'

interface UpgradeParts {
  objects: ObjectStore
  sessions: PodSessions
}

/** A request that turns its connection into something else. */
export interface Upgrade {
  request: IncomingMessage
  socket: Duplex
  head: Buffer
  /** Whether the connection is no longer one of HTTP. */
  isAccepted: boolean
}

/** Serves `exec`, `attach` and `portforward`, over WebSockets or SPDY/3.1, until the connection ends. */
export async function serveUpgrade(parts: UpgradeParts, upgrade: Upgrade, signal: AbortSignal): Promise<void> {
  const { request, socket } = upgrade
  socket.on('error', () => socket.destroy())
  const cut = () => socket.destroy()
  signal.addEventListener('abort', cut, { once: true })
  socket.once('close', () => signal.removeEventListener('abort', cut))
  const url = new URL(request.url ?? '/', 'https://localhost')
  const target = parseTarget(url.pathname)
  if (target?.resource.kind !== 'Pod') throw unknownPath()
  const pod = parts.objects.get('Pod', target.namespace, target.name)
  if (!pod) throw notFound(target.resource, target.name)
  switch (target.subresource) {
    case 'portforward':
      return await forwardPorts(upgrade, (port) => parts.sessions.connect(pod, port, signal))
    case 'exec':
    case 'attach': {
      const wanted = streamsOf(url.searchParams)
      const session = await openSession(parts.sessions, pod, target.subresource, url.searchParams)
      return await serveCommand(upgrade, session, wanted)
    }
    default:
      throw badRequest(`pods/${target.subresource} is no connection`)
  }
}

async function openSession(
  sessions: PodSessions,
  pod: Pod,
  what: 'exec' | 'attach',
  query: URLSearchParams,
): Promise<Session> {
  const { name } = pod.metadata
  const all = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].map((container) => container.name)
  const container = query.get('container') || pod.spec.containers[0]?.name || ''
  if (!all.includes(container)) throw badRequest(`container ${container} is not valid for pod ${name}`)
  if (what === 'attach') return sessions.attach(pod, container)
  const command = query.getAll('command')
  if (command.length === 0) throw badRequest('you must specify at least 1 command for the container')
  return await sessions.exec(pod, { container, command, tty: flag(query, 'tty') })
}

function streamsOf(query: URLSearchParams): WantedStreams {
  const wants = (name: string) => flag(query, name)
  return { stdin: wants('stdin'), stdout: wants('stdout'), stderr: wants('stderr'), tty: wants('tty') }
}

async function serveCommand(upgrade: Upgrade, session: Session, wanted: WantedStreams): Promise<void> {
  let remote: RemoteStreams
  try {
    remote = isWebSocket(upgrade.request)
      ? commandOver(await acceptWebSocket(upgrade, COMMAND_PROTOCOLS), wanted)
      : await spdyCommand(acceptSpdy(upgrade, SPDY_COMMAND_PROTOCOLS), wanted)
  } catch (error) {
    await session[Symbol.asyncDispose]()
    throw error
  }
  await serveSession(session, remote)
}

async function forwardPorts(upgrade: Upgrade, connect: (port: number) => Promise<Duplex>): Promise<void> {
  if (!isWebSocket(upgrade.request)) {
    return await servePortForward(acceptSpdy(upgrade, [PORT_FORWARD_PROTOCOL]), connect)
  }
  const socket = await acceptWebSocket(upgrade, [PORT_FORWARD_TUNNEL])
  await servePortForward(createWebSocketStream(socket), connect)
}

function isWebSocket({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === 'websocket'
}

/** kubectl sends 32 KiB at a time. */
const MOST_MESSAGE_BYTES = 1024 * 1024

/** Both ways offer names of protocols, best first; the first that we know is taken. */
function chooseProtocol(offered: string | string[] | undefined, known: readonly string[]): string {
  const names = (Array.isArray(offered) ? offered : [offered ?? '']).flatMap((each) => each.split(','))
  const chosen = names.map((name) => name.trim()).find((name) => known.includes(name))
  if (!chosen) throw badRequest(`unable to upgrade: none of the protocols ${JSON.stringify(names)} is offered here`)
  return chosen
}

async function acceptWebSocket(upgrade: Upgrade, known: readonly string[]): Promise<WebSocket> {
  const { request, socket, head } = upgrade
  const chosen = chooseProtocol(request.headers['sec-websocket-protocol'], known)
  const server = new WebSocketServer({
    noServer: true,
    handleProtocols: () => chosen,
    perMessageDeflate: false,
    maxPayload: MOST_MESSAGE_BYTES,
  })
  const { promise, resolve } = Promise.withResolvers<WebSocket>()
  upgrade.isAccepted = true
  server.handleUpgrade(request, socket, head, resolve)
  return await promise
}

function acceptSpdy(upgrade: Upgrade, known: readonly string[]): Duplex {
  const { request, socket, head } = upgrade
  if (request.headers.upgrade?.toLowerCase() !== 'spdy/3.1') throw badRequest('Upgrade request required')
  const chosen = chooseProtocol(request.headers['x-stream-protocol-version'], known)
  upgrade.isAccepted = true
  const lines = ['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', 'Upgrade: SPDY/3.1']
  socket.write(`${[...lines, `X-Stream-Protocol-Version: ${chosen}`].join('\r\n')}\r\n\r\n`)
  if (head.length > 0) socket.unshift(head)
  return socket
}

/** Answers an upgrade that will not be as an ordinary request is answered, and closes. */
export function refuseUpgrade({ socket, isAccepted }: Upgrade, error: unknown): void {
  if (isAccepted) return void socket.destroy()
  const shown = toApiError(error)
  const body = Buffer.from(JSON.stringify(shown.toStatus()))
  const head = [
    `HTTP/1.1 ${shown.code} ${shown.reason || 'Error'}`,
    'Content-Type: application/json',
    `Content-Length: ${body.length}`,
    'Connection: close',
  ]
  socket.end(Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), body]))
}
