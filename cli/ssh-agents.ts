import { stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { openSecretScratch } from '#buildkit-lite'
import { messageOf } from '#domain/errors'
import { environmentValue } from '#host/config'
import { type ChildProcess, ExecError, run, spawn } from '#host/exec'
import { openSys } from '#host/sys'
import { UsageError } from './exit-codes.ts'
import { splitFields } from './flag-values.ts'

/**
 * `--ssh default|ID[=SOCKET|KEY[,KEY…]]`: the sockets of agents by id. For keys an agent of our own is started, which
 * ends with `stack`.
 */
export async function openSshAgents(
  flags: readonly string[],
  stack: AsyncDisposableStack,
  signal: AbortSignal,
): Promise<Record<string, string>> {
  const agents: Record<string, string> = {}
  for (const flag of flags) {
    const equals = flag.indexOf('=')
    const id = equals < 0 ? flag : flag.slice(0, equals)
    if (id === '') throw new UsageError(`--ssh "${flag}" has no id`)
    const paths = equals < 0 ? [] : splitFields(flag.slice(equals + 1)).filter((path) => path !== '')
    if (agents[id] !== undefined) throw new UsageError(`--ssh ${id} is given twice`)
    agents[id] = (await findSocket(flag, paths)) ?? (await startAgent(id, paths, stack, signal))
  }
  return agents
}

/** The one socket that is named, or the user's own agent's; null where keys are named. */
async function findSocket(flag: string, paths: readonly string[]): Promise<string | null> {
  const [path = environmentValue('SSH_AUTH_SOCK'), ...more] = paths
  if (!path) throw new UsageError(`--ssh "${flag}" needs an agent: SSH_AUTH_SOCK is not set. Start one, or name a key`)
  const found = await stat(path).catch((error: unknown) => {
    throw new UsageError(`--ssh "${flag}": ${messageOf(error)}`)
  })
  if (!found.isSocket()) return null
  if (more.length > 0) throw new UsageError(`--ssh "${flag}" names a socket and more, expected one socket or keys`)
  return resolve(path)
}

/** An agent with these keys; it ends with `stack`, and with this process whatever becomes of it. */
async function startAgent(
  id: string,
  keys: readonly string[],
  stack: AsyncDisposableStack,
  signal: AbortSignal,
): Promise<string> {
  const { dir } = stack.use(await openSecretScratch(openSys()))
  const socket = join(dir, 'agent.sock')
  // It lives as long as the command that it starts, which tells its environment and then waits for our end of the pipe.
  const command = ['cat', '/proc/self/environ', '-']
  const env = { PATH: environmentValue('PATH') }
  const agent = spawn('ssh-agent', ['-a', socket, ...command], {
    stdio: ['pipe', 'pipe', 'ignore'],
    detached: true,
    env,
  })
  const pid = await agentPid(agent)
  stack.defer(() => {
    agent.stdin?.end()
    process.kill(pid)
  })
  for (const key of keys) {
    const add = run('ssh-add', ['-q', resolve(key)], { env: { ...env, SSH_AUTH_SOCK: socket }, signal, input: '' })
    await add.catch((error: unknown) => {
      const why = error instanceof ExecError ? error.stderr.trim() : messageOf(error)
      throw new UsageError(`--ssh ${id}: key ${key} cannot be used: ${why}. A key with a passphrase needs an agent`)
    })
  }
  return socket
}

/** The agent listens when it starts the command. */
async function agentPid(agent: ChildProcess): Promise<number> {
  agent.on('error', () => {})
  let environment = ''
  for await (const piece of agent.stdout ?? []) {
    environment += String(piece)
    const pid = /(?:^|\0)SSH_AGENT_PID=(\d+)\0/.exec(environment)?.[1]
    if (pid !== undefined) return Number(pid)
  }
  throw new UsageError('--ssh with a key needs ssh-agent, which could not be started (package openssh-client)')
}
