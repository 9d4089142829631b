import type { Config } from '#host/config'

/** Our own address for requests from this machine, whatever the public one is. */
export function localUrl(config: Config): string {
  const everywhere = config.host === '0.0.0.0' || config.host === '::'
  const host = everywhere ? '127.0.0.1' : config.host
  return `http://${host.includes(':') ? `[${host}]` : host}:${config.port}`
}
