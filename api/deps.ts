import type { Config } from '#host/config'
import type { Logger } from '#host/log'
import type { Store } from '#store/contract'

/** What the API is given: it opens nothing of its own but the socket of the push channel. */
export interface ApiDeps {
  readonly store: Store
  readonly config: Pick<
    Config,
    'dataDir' | 'baseUrl' | 'registryUrl' | 'registryHost' | 'ownRegistry' | 'kubeconfigFile'
  >
  readonly log: Logger
  /** Directory of the built dashboard. */
  readonly dashboardDir: string
}
