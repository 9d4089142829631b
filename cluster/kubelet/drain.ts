import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { run } from '#host/exec'

const ESTABLISHED = '01'
/** Packets that were under way when the rules changed arrive within this time. */
const LEAST_MS = 50
const POLL_MS = 50
/** So long we wait for a connection to fall silent; later, any moment between two requests will do. */
const PATIENT_MS = 2000
const SILENT_MS = 200

/**
 * Waits until nothing is under way on the connections to some ports in the network of a process, or the time is up.
 * Open connections alone are no reason to wait: a client may keep an idle one for ever.
 */
export async function drainConnections(
  pid: number,
  ports: ReadonlySet<number>,
  mostMs: number,
  signal: AbortSignal,
): Promise<void> {
  const startedAtMs = Date.now()
  await sleep(Math.min(LEAST_MS, mostMs), undefined, { signal })
  for (;;) {
    const elapsedMs = Date.now() - startedAtMs
    if (elapsedMs >= mostMs || !(await isAnyBusy(pid, ports, elapsedMs < PATIENT_MS ? SILENT_MS : 0))) return
    await sleep(POLL_MS, undefined, { signal })
  }
}

async function isAnyBusy(pid: number, ports: ReadonlySet<number>, silentMs: number): Promise<boolean> {
  const tables = await Promise.all(
    // A process that has gone has no connections.
    ['tcp', 'tcp6'].map((name) => readFile(`/proc/${pid}/net/${name}`, 'utf8').catch(() => '')),
  )
  if (tables.every((text) => countEstablished(text, ports) === 0)) return false
  const words = [`--net=/proc/${pid}/ns/net`, '--', 'ss', '-HtniO', 'state', 'established']
  const listed = await run('nsenter', words).catch(() => null)
  return listed === null || countBusy(listed.stdout.toString(), ports, silentMs) > 0
}

/** `sl local_address rem_address st …`, addresses as hex with `:` and a hex port. https://docs.kernel.org/networking/proc_net_tcp.html */
export function countEstablished(text: string, ports: ReadonlySet<number>): number {
  const lines = text.split('\n').slice(1)
  return lines.filter((line) => {
    const [, local = '', , state] = line.trim().split(/\s+/)
    return state === ESTABLISHED && ports.has(Number.parseInt(local.slice(local.lastIndexOf(':') + 1), 16))
  }).length
}

/**
 * What ss(8) tells of connections: queues, addresses, and milliseconds since data last went out or came in. One is busy
 * while bytes wait, while the last word is the client's, or until it has been silent for a while.
 */
export function countBusy(text: string, ports: ReadonlySet<number>, silentMs: number): number {
  return text.split('\n').filter((line) => {
    const [received, toSend, local = ''] = line.trim().split(/\s+/)
    if (!ports.has(Number(local.slice(local.lastIndexOf(':') + 1)))) return false
    const sentAgoMs = Number(/\blastsnd:(\d+)/.exec(line)?.[1] ?? 0)
    const receivedAgoMs = Number(/\blastrcv:(\d+)/.exec(line)?.[1] ?? 0)
    return received !== '0' || toSend !== '0' || receivedAgoMs < sentAgoMs || sentAgoMs < silentMs
  }).length
}
