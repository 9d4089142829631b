import { once } from 'node:events'
import { connect } from 'node:net'
import { type Duplex, duplexPair } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { messageOf, SlipwayError } from '#domain/errors'
import { spawn } from '#host/exec'
import type { PodSessions } from '../contract.ts'
import type { Pod } from '../kinds.ts'
import type { Instance } from './instance.ts'

type FindInstance = (podUid: string, container: string) => Instance | null

const RELAY = fileURLToPath(new URL('./relay-port.ts', import.meta.url))

/** What users do inside the pods that run here. */
export function openSessions(find: FindInstance): PodSessions {
  const runningIn = (pod: Pod, container: string): Instance => {
    const instance = find(pod.metadata.uid ?? '', container)
    if (!instance) throw new SlipwayError('not-found', `container not found ("${container}")`)
    return instance
  }
  return {
    exec: async (pod, { container, command, tty }) =>
      await runningIn(pod, container).exec({ args: command, terminal: tty }),
    attach: (pod, container) => {
      const instance = runningIn(pod, container)
      const { stdout, stderr } = instance.listen()
      return {
        stdin: null,
        stdout,
        stderr,
        exited: instance.ended.then(({ exitCode }) => ({ code: exitCode, signal: null })),
        resize: async () => {},
        [Symbol.asyncDispose]: async () => {
          stdout.destroy()
          stderr.destroy()
        },
      }
    },
    connect: async (pod, port, signal) => {
      const address = pod.status?.podIP
      const running = pod.spec.containers.map(({ name }) => find(pod.metadata.uid ?? '', name)).find(Boolean)
      if (!address || !running) {
        const phase = pod.status?.phase ?? 'Pending'
        throw new SlipwayError('conflict', `unable to forward port because pod is not running. Current status=${phase}`)
      }
      return await dial(address, port, signal).catch((error: unknown) => {
        if ((error as NodeJS.ErrnoException).code !== 'ECONNREFUSED') throw error
        return dialInside(running.pid, port, signal)
      })
    },
  }
}

async function dial(host: string, port: number, signal: AbortSignal): Promise<Duplex> {
  const socket = connect({ host, port, allowHalfOpen: true })
  try {
    await once(socket, 'connect', { signal: AbortSignal.any([signal, AbortSignal.timeout(CONNECT_MS)]) })
    return socket
  } catch (error) {
    socket.destroy()
    throw error
  }
}

const CONNECT_MS = 10_000

/** For what listens on the pod's loopback only: a program in its network namespace connects for us. */
async function dialInside(pid: number, port: number, signal: AbortSignal): Promise<Duplex> {
  const words = ['--target', String(pid), '--net', '--', process.execPath, RELAY, String(port)]
  const relay = spawn('nsenter', words, { stdio: ['pipe', 'pipe', 'pipe'], signal, killSignal: 'SIGKILL' })
  const { stdin, stdout, stderr } = relay
  if (!stdin || !stdout || !stderr) throw new TypeError('nsenter was started without pipes')
  let said = ''
  stderr.on('data', (chunk: Buffer) => {
    said = `${said}${chunk.toString()}`.slice(-1000)
  })
  try {
    // It says on a line of its own that it is connected.
    await Promise.race([once(stderr, 'data'), once(relay, 'exit')])
  } catch (error) {
    throw new SlipwayError('unavailable', `Port ${port} could not be reached: ${messageOf(error)}`, { cause: error })
  }
  if (!said.startsWith('connected')) throw new SlipwayError('unavailable', said.trim() || `port ${port} is closed`)
  relay.on('error', () => {})
  stdin.on('error', () => {})
  const [mine, theirs] = duplexPair()
  theirs.pipe(stdin)
  stdout.pipe(theirs)
  mine.once('close', () => relay.kill('SIGKILL'))
  return mine
}
