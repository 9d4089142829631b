import { once } from 'node:events'
import { createServer } from 'node:net'
import { SlipwayError } from '#domain/errors'
import type { Config } from '#host/config'

/**
 * Refuses ports that another program has, before anything is started: otherwise the only word of it would be in a
 * child's log, or the other program's answers would be taken for ours.
 */
export async function refuseTakenPorts(
  config: Pick<Config, 'host' | 'port' | 'ownCluster' | 'clusterPort'>,
): Promise<void> {
  await refuseTaken(config.host, config.port, 'SLIPWAY_PORT')
  if (!config.ownCluster) return
  if (config.clusterPort === config.port)
    throw new SlipwayError('invalid', `SLIPWAY_PORT and SLIPWAY_CLUSTER_PORT are both ${config.port}`)
  await refuseTaken('127.0.0.1', config.clusterPort, 'SLIPWAY_CLUSTER_PORT')
}

async function refuseTaken(host: string, port: number, variable: string): Promise<void> {
  const server = createServer()
  try {
    server.listen({ host, port })
    await once(server, 'listening')
  } catch (error) {
    throw explain(error as NodeJS.ErrnoException, { host, port, variable })
  }
  const closed = once(server, 'close')
  server.close()
  await closed
}

function explain(
  error: NodeJS.ErrnoException,
  { host, port, variable }: { host: string; port: number; variable: string },
): SlipwayError {
  if (error.code === 'EADDRINUSE') {
    const message = `Port ${port} on ${host} is in use by another program. Stop that, or set ${variable} to a free port.`
    return new SlipwayError('conflict', message, { cause: error })
  }
  return new SlipwayError('invalid', `Nothing can listen on ${host}, port ${port}: ${error.message}`, { cause: error })
}
