import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { type AddressRules, refusal } from './address-rules.ts'
import { getRemote } from './http-get.ts'

/** How git reaches a remote: no further look-up, redirect or helper can lead it elsewhere. */
export interface GitRoute {
  url: string
  /** Settings of git, by their names. */
  settings: Readonly<Record<string, string>>
  env: Readonly<Record<string, string>>
}

interface RouteTools {
  rules: AddressRules
  access: { allowPrivate: boolean }
  stateDir: string
  sshAgent: string | null
}

const PROTOCOLS = 'https:http:ssh:git'
/** `user@host:path`. */
const SCP = /^(?<user>[\w-]+)@(?<host>[a-zA-Z0-9.-]+):(?<path>.*)$/s
const UPLOAD_PACK = 'info/refs?service=git-upload-pack'

export async function routeTo(
  { url, authorization }: { url: string; authorization: string | null },
  tools: RouteTools,
  signal: AbortSignal,
): Promise<GitRoute> {
  const base = {
    'gc.auto': '0',
    'http.lowSpeedLimit': '1',
    'http.lowSpeedTime': '60',
    'core.askPass': '',
    'credential.helper': '',
  }
  // The planner lets no Dockerfile name a repository of this machine; the one who builds may.
  const isLocal = url.startsWith('file://') && tools.access.allowPrivate
  const env = { GIT_ALLOW_PROTOCOL: isLocal ? 'file' : PROTOCOLS }
  const scp = SCP.exec(url)?.groups
  const host = scp?.['host'] ?? new URL(url).hostname.replace(/^\[(.*)\]$/, '$1')
  const isHttp = /^https?:/i.test(url)
  if (isHttp) {
    const route = await followHttp(url, authorization, tools, signal)
    return { url: route.url, settings: { ...base, ...route.settings }, env }
  }
  const address = tools.access.allowPrivate ? null : await allowedAddress(host, tools.rules)
  if (/^git:/i.test(url)) return { url: address === null ? url : withHost(url, address), settings: base, env }
  return { url, settings: base, env: { ...env, ...sshEnvironment(host, address, tools) } }
}

/** Where a place of http really is, with the address that its name has now. */
async function followHttp(
  url: string,
  authorization: string | null,
  { rules, access }: RouteTools,
  signal: AbortSignal,
): Promise<Pick<GitRoute, 'url' | 'settings'>> {
  const header = (place: string) =>
    authorization === null || new URL(place).origin !== new URL(url).origin
      ? {}
      : { [`http.${new URL(place).origin}/.extraHeader`]: `Authorization: ${authorization}` }
  if (access.allowPrivate) return { url, settings: header(url) }
  const asked = new URL(`${url.replace(/\/+$/, '')}/${UPLOAD_PACK}`)
  const response = await getRemote({ url: asked, headers: {}, authorization }, rules, signal)
  response.body.destroy()
  const reached = response.url.href.endsWith(`/${UPLOAD_PACK}`)
    ? response.url.href.slice(0, -UPLOAD_PACK.length - 1)
    : url
  const { hostname, protocol, port } = new URL(reached)
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  const address = await allowedAddress(host, rules)
  const at = `${host}:${port || (protocol === 'https:' ? 443 : 80)}:${address}`
  const pinned = isIP(host) === 0 ? { 'http.curloptResolve': at } : {}
  return { url: reached, settings: { ...header(reached), ...pinned, 'http.followRedirects': 'false' } }
}

async function allowedAddress(host: string, rules: AddressRules): Promise<string> {
  const addresses = await lookup(host, { all: true })
  const allowed = addresses.find(({ address }) => rules.isAllowed(address))
  if (!allowed) throw refusal(host, addresses[0]?.address ?? host)
  return allowed.address
}

function withHost(url: string, address: string): string {
  const place = new URL(url)
  const port = place.port === '' ? '' : `:${place.port}`
  return `git://${isIP(address) === 6 ? `[${address}]` : address}${port}${place.pathname}`
}

/** The host's key is remembered the first time; nobody is asked anything. */
function sshEnvironment(
  host: string,
  address: string | null,
  { stateDir, sshAgent }: RouteTools,
): Record<string, string> {
  const knownHosts = join(stateDir, 'git-sources', 'known_hosts')
  const options = ['BatchMode=yes', 'ConnectTimeout=20', 'StrictHostKeyChecking=accept-new', 'ProxyCommand=none']
  const pinned = address === null ? [] : [`HostName=${address}`, `HostKeyAlias=${host}`]
  const words = [
    '-F',
    '/dev/null',
    ...[...options, `UserKnownHostsFile="${knownHosts}"`, ...pinned].flatMap((o) => ['-o', o]),
  ]
  const agent = sshAgent === null ? {} : { SSH_AUTH_SOCK: sshAgent }
  return { GIT_SSH_COMMAND: ['ssh', ...words.map(quote)].join(' '), ...agent }
}

/** git hands this one command to a shell. */
function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`
}

/** https://git-scm.com/docs/git-config#ENVIRONMENT */
export function toEnvironment(settings: Readonly<Record<string, string>>): Record<string, string> {
  const pairs = Object.entries(settings).flatMap(([key, value], index) => [
    [`GIT_CONFIG_KEY_${index}`, key],
    [`GIT_CONFIG_VALUE_${index}`, value],
  ])
  return { GIT_CONFIG_COUNT: String(Object.keys(settings).length), ...Object.fromEntries(pairs) }
}
