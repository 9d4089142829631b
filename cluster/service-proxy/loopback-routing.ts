import { readFile, writeFile } from 'node:fs/promises'
import { isIPv4 } from 'node:net'

/**
 * Connections to a node port on 127.0.0.1 leave towards the pod with a loopback source until the masquerade; the kernel
 * drops that unless the interface may route such addresses. Set per interface, so that it goes with the pod.
 * https://docs.kernel.org/networking/ip-sysctl.html (route_localnet)
 */
export async function allowLoopbackRouting(podIps: Iterable<string>): Promise<void> {
  const routes = parseRoutes(await readFile('/proc/net/route', 'utf8'))
  const interfaces = new Set([...podIps].flatMap((ip) => interfaceTowards(routes, ip) ?? []))
  for (const name of interfaces) await writeFile(`/proc/sys/net/ipv4/conf/${name}/route_localnet`, '1')
}

export interface Route {
  interfaceName: string
  /** Addresses as 32-bit numbers, most significant byte first. */
  destination: number
  mask: number
}

/** The kernel's IPv4 routes; numbers in the file are in host byte order, which is little-endian on all we run on. */
export function parseRoutes(text: string): Route[] {
  return text
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const [interfaceName, destination, , , , , , mask] = line.split('\t')
      if (!interfaceName || !destination || !mask) return []
      return [{ interfaceName, destination: swapBytes(destination), mask: swapBytes(mask) }]
    })
}

/** By the longest prefix, but never by the default route: what only that leads to is no pod of this node. */
export function interfaceTowards(routes: readonly Route[], ip: string): string | null {
  if (!isIPv4(ip)) return null
  const address = Buffer.from(ip.split('.').map(Number)).readUInt32BE()
  const matching = routes.filter((route) => route.mask !== 0 && (address & route.mask) >>> 0 === route.destination)
  return matching.sort((a, b) => b.mask - a.mask)[0]?.interfaceName ?? null
}

function swapBytes(hex: string): number {
  return Buffer.from(hex, 'hex').readUInt32LE()
}
