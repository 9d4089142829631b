import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { connect } from 'node:net'
import type { Readable } from 'node:stream'
import { messageOf, SlipwayError } from '#domain/errors'
import type { ExecProcess } from '#sandbox'
import type { IntOrString } from '../kinds.ts'
import type { Container, ProbeAction } from '../pod-kinds.ts'
import { unlessAborted } from '../unless-aborted.ts'

/** An `error` says nothing of the container: the probe itself could not be made. */
export type ProbeOutcome =
  | { kind: 'success' }
  | { kind: 'failure'; message: string }
  | { kind: 'error'; message: string }

/** The container a probe or hook is sent to. */
export interface ProbeTarget {
  container: Container
  /** The pod's address. */
  address: string
  exec: (args: readonly string[]) => Promise<ExecProcess>
}

const MAX_OUTPUT_BYTES = 10 * 1024
const MAX_REDIRECTS = 10

/** Asks once. Whatever has not answered when the time is up has failed. */
export async function runProbe(
  action: ProbeAction,
  target: ProbeTarget,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<ProbeOutcome> {
  const timeout = AbortSignal.timeout(timeoutMs)
  const either = AbortSignal.any([signal, timeout])
  try {
    if (action.httpGet) return await probeHttp(action.httpGet, target, either)
    if (action.tcpSocket) return await probeTcp(action.tcpSocket, target, either)
    if (action.exec) return await probeExec(action.exec.command ?? [], target, either)
    return { kind: 'error', message: 'the probe names no action that is supported' }
  } catch (error) {
    if (signal.aborted) return { kind: 'error', message: messageOf(signal.reason) }
    return { kind: 'failure', message: timeout.aborted ? timedOut(action, timeoutMs) : messageOf(error) }
  }
}

/** A port by number or by the name it has in the container's spec. */
function resolvePort(container: Container, port: IntOrString): number {
  if (typeof port === 'number') return port
  const named = container.ports?.find((candidate) => candidate.name === port)?.containerPort
  const resolved = named ?? Number(port)
  if (!Number.isInteger(resolved) || resolved < 1 || resolved > 65_535)
    throw new SlipwayError('invalid', `container ${container.name} has no port "${port}"`)
  return resolved
}

function timedOut(action: ProbeAction, timeoutMs: number): string {
  if (action.exec) return `command "${(action.exec.command ?? []).join(' ')}" timed out after ${timeoutMs} ms`
  return `no answer within ${timeoutMs} ms`
}

async function probeHttp(
  { path = '/', port, host, scheme = 'HTTP', httpHeaders = [] }: NonNullable<ProbeAction['httpGet']>,
  target: ProbeTarget,
  signal: AbortSignal,
): Promise<ProbeOutcome> {
  const address = host || target.address
  let url = new URL(`${scheme.toLowerCase()}://${address}:${resolvePort(target.container, port)}`)
  url = new URL(path.startsWith('/') ? path : `/${path}`, url)
  const headers = { 'user-agent': 'kube-probe/1.33', ...Object.fromEntries(httpHeaders.map((h) => [h.name, h.value])) }
  for (let redirects = 0; ; redirects++) {
    const response = await get(url, headers, signal)
    const status = response.statusCode ?? 0
    const location = status >= 300 && status < 400 ? response.headers.location : undefined
    response.destroy()
    const next = location === undefined ? null : new URL(location, url)
    if (next && next.hostname === url.hostname && redirects < MAX_REDIRECTS) {
      url = next
      continue
    }
    if (status >= 200 && status < 400) return { kind: 'success' }
    return { kind: 'failure', message: `HTTP probe failed with statuscode: ${status}` }
  }
}

async function get(url: URL, headers: Record<string, string>, signal: AbortSignal): Promise<IncomingMessage> {
  // No agent: every probe is a new connection, as new users are. Certificates of pods are their own affair.
  const options: RequestOptions = { agent: false, headers: { connection: 'close', ...headers }, signal }
  const request =
    url.protocol === 'https:' ? httpsRequest(url, { ...options, rejectUnauthorized: false }) : httpRequest(url, options)
  request.on('error', () => {})
  request.end()
  try {
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    response.on('error', () => {})
    return response
  } catch (error) {
    throw new SlipwayError('unavailable', `Get "${url.href}": ${messageOf(error)}`, { cause: error })
  }
}

async function probeTcp(
  { port, host }: NonNullable<ProbeAction['tcpSocket']>,
  target: ProbeTarget,
  signal: AbortSignal,
): Promise<ProbeOutcome> {
  const socket = connect({ host: host || target.address, port: resolvePort(target.container, port), signal })
  try {
    await once(socket, 'connect')
    return { kind: 'success' }
  } finally {
    socket.destroy()
  }
}

async function probeExec(args: readonly string[], target: ProbeTarget, signal: AbortSignal): Promise<ProbeOutcome> {
  await using process = await target.exec(args)
  process.stdin.end()
  const output = [collect(process.stdout), collect(process.stderr)]
  const exit = await unlessAborted(process.exited, signal)
  if (exit.code === 0) return { kind: 'success' }
  return { kind: 'failure', message: output.map((read) => read()).join('') }
}

/** Reads on to the end, so that the program is never stopped by a full pipe, but keeps only the first bytes. */
function collect(stream: Readable): () => string {
  const chunks: Buffer[] = []
  let sizeBytes = 0
  stream.on('error', () => {})
  stream.on('data', (chunk: Buffer) => {
    if (sizeBytes < MAX_OUTPUT_BYTES) chunks.push(chunk.subarray(0, MAX_OUTPUT_BYTES - sizeBytes))
    sizeBytes += chunk.length
  })
  return () => Buffer.concat(chunks).toString()
}
