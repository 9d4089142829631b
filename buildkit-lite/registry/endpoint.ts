import { isLoopbackRegistry } from '#domain/image-reference'

/** Docker Hub's API is not where its name says. */
const HUB = { name: 'docker.io', host: 'registry-1.docker.io' }

/** Where a registry's API is. */
export function endpointOf(registry: string, insecure: readonly string[]): URL {
  const isPlain = isLoopbackRegistry(registry) || insecure.includes(registry)
  return new URL(`${isPlain ? 'http' : 'https'}://${registry === HUB.name ? HUB.host : registry}/`)
}

/**
 * Whether a registry at `from` may send us on to `to`: never from an encrypted to a plain connection, and never from
 * elsewhere to this machine's loopback or link-local addresses, where cloud metadata lives.
 */
export function mayLead(from: URL, to: URL): boolean {
  if (to.protocol !== 'https:' && (to.protocol !== 'http:' || from.protocol === 'https:')) return false
  return !isLocal(to) || isLocal(from)
}

/** Whether credentials of the registry at `from` may be shown to `to`: the same server, or one of the same site over TLS. */
export function mayAuthenticate(from: URL, to: URL): boolean {
  if (from.origin === to.origin) return true
  if (isLocal(from) && isLocal(to)) return from.port === to.port
  return to.protocol === 'https:' && siteOf(from) !== null && siteOf(from) === siteOf(to)
}

/** The last two labels of a host name; null for addresses. */
function siteOf({ hostname }: URL): string | null {
  if (/^[\d.]+$/.test(hostname) || hostname.startsWith('[')) return null
  const labels = hostname.split('.')
  return labels.length < 2 ? null : labels.slice(-2).join('.')
}

function isLocal({ hostname }: URL): boolean {
  return (
    isLoopbackRegistry(hostname) ||
    hostname.endsWith('.localhost') ||
    hostname === '0.0.0.0' ||
    hostname === '[::]' ||
    hostname.startsWith('169.254.') ||
    /^\[fe[89ab]/i.test(hostname) ||
    /^\[::ffff:(?:7f|a9fe)/i.test(hostname)
  )
}
