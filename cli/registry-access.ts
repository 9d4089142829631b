import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Credentials, createRegistry, dockerCredentials, type Registry } from '#buildkit-lite'
import type { Config } from '#host/config'
import { readRegistries } from '#host/registries'
import { dockerConfigFile } from './docker-proxies.ts'

/** Any user name goes with a token of ours. */
const TOKEN_USER = 'slipway'

/** A client with what this machine knows: our own registry first, then Docker Hub; credentials of both kinds. */
export async function openRegistry(config: Config, home: string, insecure: readonly string[] = []): Promise<Registry> {
  const registries = await readRegistries(config.registriesFile)
  const ownToken = await readToken(join(config.dataDir, 'admin-token'))
  const fromDocker = await dockerCredentials(dockerConfigFile(home))
  const credentialsFor = (registry: string): Credentials | null => {
    const given = registries.credentials[registry] ?? fromDocker(registry)
    if (given || registry !== config.registryHost || ownToken === null) return given
    return { username: TOKEN_USER, password: ownToken }
  }
  // Where there is no token, no service of ours has ever run here.
  const own = ownToken === null && config.ownRegistry ? [] : [config.registryHost]
  return createRegistry({
    ...registries,
    insecure: [...registries.insecure, ...insecure],
    searchOrder: registries.searchOrder ?? [...own, 'docker.io'],
    credentialsFor,
  })
}

async function readToken(path: string): Promise<string | null> {
  const text = await readFile(path, 'utf8').catch(() => '')
  return text.trim() || null
}
