import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

const ESTABLISHED = '01'
/** Packets that were under way when the rules changed arrive within this time. */
const LEAST_MS = 50
const POLL_MS = 50

/**
 * Waits until no connection to one of the ports is left in the network of a process, or the time is up: a client may
 * keep an idle connection open for ever.
 */
export async function drainConnections(
  pid: number,
  ports: ReadonlySet<number>,
  mostMs: number,
  signal: AbortSignal,
): Promise<void> {
  const endsAtMs = Date.now() + mostMs
  await sleep(Math.min(LEAST_MS, mostMs), undefined, { signal })
  while (Date.now() < endsAtMs && (await countConnections(pid, ports)) > 0) await sleep(POLL_MS, undefined, { signal })
}

async function countConnections(pid: number, ports: ReadonlySet<number>): Promise<number> {
  const tables = await Promise.all(
    // A process that has gone has no connections.
    ['tcp', 'tcp6'].map((name) => readFile(`/proc/${pid}/net/${name}`, 'utf8').catch(() => '')),
  )
  return tables.reduce((sum, text) => sum + countEstablished(text, ports), 0)
}

/** `sl local_address rem_address st …`, addresses as hex with `:` and a hex port. https://docs.kernel.org/networking/proc_net_tcp.html */
export function countEstablished(text: string, ports: ReadonlySet<number>): number {
  const lines = text.split('\n').slice(1)
  return lines.filter((line) => {
    const [, local = '', , state] = line.trim().split(/\s+/)
    return state === ESTABLISHED && ports.has(Number.parseInt(local.slice(local.lastIndexOf(':') + 1), 16))
  }).length
}
