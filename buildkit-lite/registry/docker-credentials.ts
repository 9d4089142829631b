import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { SlipwayError } from '#domain/errors'
import type { Credentials } from './contract.ts'

/** The part of `~/.docker/config.json` that `docker login` writes without a credential helper. */
const DockerConfig = z.object({
  auths: z
    .record(
      z.string(),
      z.object({ auth: z.string().optional(), username: z.string().optional(), password: z.string().optional() }),
    )
    .optional(),
})

/** Reads the credentials per registry out of a Docker config file; a missing file has none. */
export async function dockerCredentials(path: string): Promise<(registry: string) => Credentials | null> {
  const known = new Map<string, Credentials>()
  for (const [key, entry] of Object.entries((await readConfig(path)).auths ?? {})) {
    const credentials = entry.auth ? decodeAuth(entry.auth) : complete(entry)
    if (credentials) known.set(registryOf(key), credentials)
  }
  return (registry) => known.get(registry) ?? null
}

async function readConfig(path: string): Promise<z.infer<typeof DockerConfig>> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return {}
    throw error
  }
  try {
    return DockerConfig.parse(JSON.parse(text))
  } catch (cause) {
    throw new SlipwayError('invalid', `${path} is not a Docker config: expected JSON with "auths"`, { cause })
  }
}

/** Keys are hosts or addresses: Docker Hub's is `https://index.docker.io/v1/`. */
function registryOf(key: string): string {
  const host = key.replace(/^https?:\/\//, '').split('/', 1)[0] ?? key
  return host === 'index.docker.io' || host === 'registry-1.docker.io' ? 'docker.io' : host
}

function decodeAuth(auth: string): Credentials | null {
  const text = Buffer.from(auth, 'base64').toString().replace(/\0+$/, '')
  const colon = text.indexOf(':')
  return colon < 0 ? null : { username: text.slice(0, colon), password: text.slice(colon + 1) }
}

function complete({ username, password }: { username?: string | undefined; password?: string | undefined }) {
  return username === undefined || password === undefined ? null : { username, password }
}
