import { once } from 'node:events'
import { chmod, rm } from 'node:fs/promises'
import { type IncomingMessage, request } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Config } from '#host/config'
import { writeFileAtomic } from '#host/files'
import { sandboxWrapper } from '#sandbox'
import type { ChildSpec } from './child.ts'

const projectDir = join(import.meta.dirname, '..', '..')
const RETRY_MS = 50

/** Redis on a socket that only we can open. AOF: what was accepted survives a crash but for the last second. */
export function redisChild(config: Config): ChildSpec {
  const directory = join(config.dataDir, 'redis')
  const socket = join(directory, 'redis.sock')
  return {
    name: 'redis',
    command: [
      'redis-server',
      '--port',
      '0',
      '--unixsocket',
      socket,
      '--unixsocketperm',
      '600',
      '--dir',
      directory,
      '--appendonly',
      'yes',
      '--save',
      '',
      '--maxmemory-policy',
      'noeviction',
      '--daemonize',
      'no',
    ],
    cwd: directory,
    wrapped: false,
    ready: (signal) => untilItAnswers(() => pingRedis(socket), signal),
  }
}

/** The distribution registry behind our own port: on a socket, so that nothing reaches it around our authentication. */
export async function registryChild(config: Config): Promise<ChildSpec> {
  const directory = join(config.dataDir, 'registry')
  const socket = join(directory, 'registry.sock')
  const file = join(directory, 'config.yml')
  // https://distribution.github.io/distribution/about/configuration/ (JSON is YAML)
  const settings = {
    version: '0.1',
    log: { level: 'warn', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(directory, 'storage') }, delete: { enabled: true } },
    http: { net: 'unix', addr: socket, relativeurls: true },
  }
  await writeFileAtomic(file, JSON.stringify(settings, null, 2), 0o600)
  await rm(socket, { force: true })
  return {
    name: 'registry',
    command: ['docker-registry', 'serve', file],
    cwd: directory,
    wrapped: false,
    ready: async (signal) => {
      await untilItAnswers(() => getOverSocket(socket, '/v2/'), signal)
      await chmod(socket, 0o600)
    },
  }
}

/** A room's own main.ts. What starts containers runs in a wrapper that takes them along when it dies. */
export function roleChild(name: 'api' | 'worker' | 'cluster'): ChildSpec {
  const main = join(projectDir, name === 'worker' ? 'workers' : name, 'main.ts')
  const command = [process.execPath, '--disable-warning=ExperimentalWarning', main] as const
  const wrapped = name !== 'api'
  return { name, command: wrapped ? asCommand([...sandboxWrapper(), ...command]) : command, cwd: projectDir, wrapped }
}

function asCommand(words: readonly string[]): [string, ...string[]] {
  const [file = '', ...args] = words
  return [file, ...args]
}

/** Tries until it works; there is nothing that would tell us when a foreign server has opened its socket. */
export async function untilItAnswers(attempt: () => Promise<void>, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted()
    try {
      await attempt()
      return
    } catch {
      await sleep(RETRY_MS, undefined, { signal })
    }
  }
}

async function pingRedis(path: string): Promise<void> {
  const socket = connect({ path })
  socket.setTimeout(1000, () => socket.destroy(new Error('redis does not answer')))
  try {
    await once(socket, 'connect')
    socket.write('PING\r\n')
    const [answer] = (await once(socket, 'data')) as [Buffer]
    // It says -LOADING while it reads its files.
    if (!answer.toString().startsWith('+PONG')) throw new Error(`redis answers ${answer.toString()}`)
  } finally {
    socket.destroy()
  }
}

async function getOverSocket(socketPath: string, path: string): Promise<void> {
  const call = request({ socketPath, path, timeout: 1000 })
  call.end()
  const [response] = (await once(call, 'response')) as [IncomingMessage]
  response.resume()
  if (response.statusCode !== 200) throw new Error(`the registry answers ${response.statusCode}`)
}
