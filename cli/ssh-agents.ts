import { stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { openScratch } from '#buildkit-lite'
import { messageOf } from '#domain/errors'
import { environmentValue } from '#host/config'
import { ExecError, exited, run, spawn } from '#host/exec'
import { openSys } from '#host/sys'
import { UsageError } from './exit-codes.ts'
import { splitFields } from './flag-values.ts'

/**
 * `--ssh default|ID[=SOCKET|KEY[,KEY…]]`: the sockets of agents by id. For keys an agent of our own is started, which
 * ends with `stack`; its socket lies below `stateDir`.
 */
export async function openSshAgents(
  flags: readonly string[],
  { stateDir, stack }: { stateDir: string; stack: AsyncDisposableStack },
  signal: AbortSignal,
): Promise<Record<string, string>> {
  const agents: Record<string, string> = {}
  for (const flag of flags) {
    const equals = flag.indexOf('=')
    const id = equals < 0 ? flag : flag.slice(0, equals)
    if (id === '') throw new UsageError(`--ssh "${flag}" has no id`)
    const paths = equals < 0 ? [] : splitFields(flag.slice(equals + 1)).filter((path) => path !== '')
    if (agents[id] !== undefined) throw new UsageError(`--ssh ${id} is given twice`)
    agents[id] = (await findSocket(flag, paths)) ?? (await startAgent(id, paths, { stateDir, stack }, signal))
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

const READY_MS = 5000

async function startAgent(
  id: string,
  keys: readonly string[],
  { stateDir, stack }: { stateDir: string; stack: AsyncDisposableStack },
  signal: AbortSignal,
): Promise<string> {
  const { dir } = stack.use(await openScratch(openSys(), stateDir))
  const socket = join(dir, 'agent.sock')
  const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore', detached: true })
  const ended = exited(agent)
  stack.defer(async () => {
    agent.kill('SIGTERM')
    await ended.catch(() => {})
  })
  await ready(socket, ended, signal)
  const env = { SSH_AUTH_SOCK: socket, PATH: environmentValue('PATH') }
  for (const key of keys) {
    await run('ssh-add', ['-q', resolve(key)], { env, signal, input: '' }).catch((error: unknown) => {
      const why = error instanceof ExecError ? error.stderr.trim() : messageOf(error)
      throw new UsageError(`--ssh ${id}: key ${key} cannot be used: ${why}. A key with a passphrase needs an agent`)
    })
  }
  return socket
}

async function ready(socket: string, ended: Promise<unknown>, signal: AbortSignal): Promise<void> {
  let gone: unknown = null
  ended.then(
    () => (gone = new Error('it ended')),
    (error: unknown) => (gone = error),
  )
  const deadlineMs = performance.now() + READY_MS
  while (!(await stat(socket).catch(() => null))) {
    signal.throwIfAborted()
    if (gone || performance.now() > deadlineMs)
      throw new UsageError(`ssh-agent could not be started (package openssh-client): ${messageOf(gone ?? 'no socket')}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
