import { createRegistry, type Registry } from '#buildkit-lite'
import type { Config } from '#host/config'
import type { Registries } from '#host/registries'

/** A client for the images of pods: our own registry with our token, others as the operator's file says. */
export function openRegistry(config: Config, registries: Registries, token: string): Registry {
  const { registryHost, ownRegistry } = config
  const url = ownRegistry ? config.baseUrl : config.registryUrl
  const plain = url.startsWith('http:') ? [registryHost] : []
  return createRegistry({
    ...registries,
    searchOrder: registries.searchOrder ?? [registryHost, 'docker.io'],
    insecure: [...plain, ...registries.insecure],
    credentialsFor: (registry) =>
      ownRegistry && registry === registryHost
        ? { username: 'slipway', password: token }
        : (registries.credentials[registry] ?? null),
  })
}
