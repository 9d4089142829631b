import { readFile } from 'node:fs/promises'

/** Asked where the host has no resolver that a container could reach. */
const PUBLIC_RESOLVERS = ['1.1.1.1', '8.8.8.8']
const SYSTEMD_FILE = '/run/systemd/resolve/resolv.conf'

export interface Resolver {
  /** IPv4 addresses; containers have no IPv6 of their own yet. */
  readonly addresses: readonly string[]
  /** Text of a resolv.conf. */
  readonly text: string
  /** Whether nothing on the host was usable. */
  readonly isFallback: boolean
}

/** The host's resolver as containers see it. A loopback address of the host is another one's inside. */
export async function findResolver(files: readonly string[] = ['/etc/resolv.conf', SYSTEMD_FILE]): Promise<Resolver> {
  for (const file of files) {
    const resolver = parseResolvConf(await readFile(file, 'utf8').catch(() => ''))
    if (resolver.addresses.length > 0) return resolver
  }
  const text = PUBLIC_RESOLVERS.map((address) => `nameserver ${address}\n`).join('')
  return { addresses: PUBLIC_RESOLVERS, text, isFallback: true }
}

export function parseResolvConf(text: string): Resolver {
  const lines = text.split('\n').map((line) => line.trim().split(/\s+/))
  const addresses = lines
    .filter(([word, value = '']) => word === 'nameserver' && /^\d+(\.\d+){3}$/.test(value) && !value.startsWith('127.'))
    .map(([, value = '']) => value)
  const others = lines.filter(([word = '']) => ['search', 'domain', 'options'].includes(word))
  const kept = [...addresses.map((address) => ['nameserver', address]), ...others]
  return { addresses, text: kept.map((line) => `${line.join(' ')}\n`).join(''), isFallback: false }
}

/** Text of a container's /etc/hosts. Without an address of its own its name is the loopback's. */
export function hostsText(hostname: string, address: string | null): string {
  const loopback = address === null && hostname !== '' ? `localhost ${hostname}` : 'localhost'
  const lines = [
    `127.0.0.1\t${loopback}`,
    '::1\tlocalhost ip6-localhost ip6-loopback',
    ...(address === null || hostname === '' ? [] : [`${address}\t${hostname}`]),
  ]
  return `${lines.join('\n')}\n`
}

/** Lines for further names. */
export function extraHostsText(hosts: readonly { name: string; address: string }[]): string {
  return hosts.map(({ name, address }) => `${address}\t${name}\n`).join('')
}
