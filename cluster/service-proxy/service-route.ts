import { readFile } from 'node:fs/promises'
import { run } from '#host/exec'
import { parseRoutes } from './loopback-routing.ts'

/**
 * The host looks up a route before the rules see a packet, so a machine without a default route could not reach any
 * Service. Such a machine gets a route for the Services' addresses; disposing takes it away.
 */
export async function ensureServiceRoute(serviceCidr: string): Promise<AsyncDisposable> {
  const routes = parseRoutes(await readFile('/proc/net/route', 'utf8'))
  if (routes.some((route) => route.mask === 0)) return { [Symbol.asyncDispose]: async () => {} }
  await run('ip', ['route', 'replace', serviceCidr, 'dev', 'lo'])
  return {
    [Symbol.asyncDispose]: async () => {
      await run('ip', ['route', 'del', serviceCidr, 'dev', 'lo'], { okCodes: [0, 2] })
    },
  }
}
