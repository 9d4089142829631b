import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { environmentValue } from '#host/config'

/** Where `docker` keeps credentials and proxies. https://docs.docker.com/reference/cli/docker/#configuration-files */
export function dockerConfigFile(home: string = homedir()): string {
  return join(environmentValue('DOCKER_CONFIG') || join(home, '.docker'), 'config.json')
}

const PROXIES = {
  httpProxy: 'HTTP_PROXY',
  httpsProxy: 'HTTPS_PROXY',
  ftpProxy: 'FTP_PROXY',
  noProxy: 'NO_PROXY',
  allProxy: 'ALL_PROXY',
} as const

const ProxyConfig = z.object({
  proxies: z.object({ default: z.partialRecord(z.enum(Object.keys(PROXIES)), z.string()).optional() }).optional(),
})

/**
 * The proxies of a docker config file as build arguments, in capital and in small letters. What `given` names itself, in
 * either, is not touched; a file that cannot be read has none, for whoever needs its credentials says so.
 */
export async function readProxyArgs(
  path: string,
  given: Readonly<Record<string, string>>,
): Promise<Record<string, string>> {
  const text = await readFile(path, 'utf8').catch(() => '{}')
  const proxies = readDefaults(text)
  const args: Record<string, string> = {}
  for (const [key, name] of Object.entries(PROXIES)) {
    const value = proxies[key]
    if (!value || given[name] !== undefined || given[name.toLowerCase()] !== undefined) continue
    args[name] = value
    args[name.toLowerCase()] = value
  }
  return args
}

function readDefaults(text: string): Readonly<Record<string, string | undefined>> {
  try {
    return ProxyConfig.parse(JSON.parse(text)).proxies?.default ?? {}
  } catch {
    return {}
  }
}
