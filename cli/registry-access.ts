import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { type Credentials, createRegistry, dockerCredentials, type Registry } from '#buildkit-lite'
import { SlipwayError } from '#domain/errors'
import type { Config } from '#host/config'

/** The file of SLIPWAY_REGISTRIES. */
const RegistriesFile = z.strictObject({
  search: z.array(z.string()).optional(),
  insecure: z.array(z.string()).optional(),
  credentials: z.record(z.string(), z.object({ username: z.string(), password: z.string() })).optional(),
})
type RegistriesFile = z.infer<typeof RegistriesFile>

/** Any user name goes with a token of ours. */
const TOKEN_USER = 'slipway'

/** A client with what this machine knows: our own registry first, then Docker Hub; credentials of both kinds. */
export async function openRegistry(config: Config, home: string): Promise<Registry> {
  const file = await readRegistriesFile(config.registriesFile)
  const ownToken = await readToken(join(config.dataDir, 'admin-token'))
  const fromDocker = await dockerCredentials(join(home, '.docker', 'config.json'))
  const credentialsFor = (registry: string): Credentials | null => {
    const given = file.credentials?.[registry] ?? fromDocker(registry)
    if (given || registry !== config.registryHost || ownToken === null) return given
    return { username: TOKEN_USER, password: ownToken }
  }
  // Where there is no token, no service of ours has ever run here.
  const own = ownToken === null && config.ownRegistry ? [] : [config.registryHost]
  return createRegistry({
    searchOrder: file.search ?? [...own, 'docker.io'],
    insecure: file.insecure ?? [],
    credentialsFor,
  })
}

async function readRegistriesFile(path: string | null): Promise<RegistriesFile> {
  if (path === null) return {}
  try {
    return RegistriesFile.parse(JSON.parse(await readFile(path, 'utf8')))
  } catch (error) {
    throw new SlipwayError('invalid', `SLIPWAY_REGISTRIES ${path} cannot be read: ${String(error)}`, { cause: error })
  }
}

async function readToken(path: string): Promise<string | null> {
  const text = await readFile(path, 'utf8').catch(() => '')
  return text.trim() || null
}
