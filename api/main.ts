import { join } from 'node:path'
import { readConfig } from '#host/config'
import { makeDataDir } from '#host/data-dir'
import { createLogger } from '#host/log'
import { aborted, shutdownSignal } from '#host/shutdown'
import { openStore } from '#store/open-store'
import { adoptAdminToken } from './admin-token.ts'
import { createServer } from './server.ts'

/** Longer than this no open connection holds the process up. */
const CLOSE_TIMEOUT_MS = 4_500

const config = readConfig()
const log = createLogger('api', config.logLevel)
const signal = shutdownSignal(log)

await makeDataDir(config.dataDir)
await using stack = new AsyncDisposableStack()
const store = stack.use(await openStore(config.redisUrl))
await adoptAdminToken(store, config.dataDir)
const dashboardDir = join(import.meta.dirname, '..', 'dashboards', 'dist')
const app = createServer({ store, config, log, dashboardDir })
stack.adopt(app, async (server) => {
  const deadline = setTimeout(() => server.server.closeAllConnections(), CLOSE_TIMEOUT_MS)
  await server.close()
  clearTimeout(deadline)
})
await app.listen({ host: config.host, port: config.port })
log.info({ url: config.baseUrl }, 'listening')
await aborted(signal)
