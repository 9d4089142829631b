import { createRegistry, type Registry } from '#buildkit-lite'
import type { Config } from '#host/config'
import type { Registries } from '#host/registries'

/** Makes clients that show a build's token to our own registry, and to others what the operator's file says. */
export function registryOpener(config: Config, registries: Registries): (token: string) => Registry {
  const { registryHost, ownRegistry } = config
  const url = ownRegistry ? config.baseUrl : config.registryUrl
  const plain = new URL(url).protocol === 'http:' ? [registryHost] : []
  return (token) =>
    createRegistry({
      ...registries,
      searchOrder: registries.searchOrder ?? [registryHost, 'docker.io'],
      insecure: [...plain, ...registries.insecure],
      credentialsFor: (registry) =>
        ownRegistry && registry === registryHost
          ? { username: 'slipway', password: token }
          : (registries.credentials[registry] ?? null),
    })
}
