import { once } from 'node:events'
import { chmodSync, chownSync } from 'node:fs'
import { createConnection, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { SlipwayError } from '#domain/errors'
import type { RunMount } from '../plan/plan.ts'
import type { Prepared } from './run-mounts.ts'
import { openSecretScratch } from './scratch.ts'
import type { StepScope } from './step-scope.ts'

type SshMount = Extract<RunMount, { kind: 'ssh' }>

/**
 * `--mount=type=ssh`: a socket of the step's own behind which the client's agent answers, so that its owner and mode
 * are the step's and nothing of the agent's is left when the step ends. Without an agent there is no socket.
 */
export async function mountSsh(
  { request, sys }: StepScope,
  stack: AsyncDisposableStack,
  mount: SshMount,
): Promise<Prepared | null> {
  const { sshAgents } = request.run
  const agent = Object.hasOwn(sshAgents, mount.id) ? sshAgents[mount.id] : undefined
  if (agent === undefined && mount.required)
    throw new SlipwayError('step-failed', `no SSH key "${mount.id}" forwarded from the client`)
  if (agent === undefined) return null
  // A socket's path has to be short, which that of a data directory need not be.
  const { dir } = stack.use(await openSecretScratch(sys))
  const source = join(dir, 'agent.sock')
  stack.use(await forwardSocket(source, agent))
  chownSync(source, mount.uid, mount.gid)
  chmodSync(source, mount.mode)
  return { mount: { kind: 'bind', source, target: mount.target, readonly: false }, pointKind: 'file' }
}

/** Each costs this process two descriptors; a step that wants more is turned away. */
const MAX_CONNECTIONS = 100

/** Listens at `path` and copies bytes between each connection and one to `agent`. Disposing ends all of them. */
async function forwardSocket(path: string, agent: string): Promise<AsyncDisposable> {
  const open = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (inside) => {
    const outside = createConnection({ path: agent, allowHalfOpen: true })
    for (const socket of [inside, outside]) {
      open.add(socket)
      // Whoever hangs up is no trouble of ours.
      socket.on('error', () => {})
      socket.once('close', () => open.delete(socket))
    }
    void connect(inside, outside)
  })
  server.maxConnections = MAX_CONNECTIONS
  server.listen(path)
  await once(server, 'listening')
  return {
    [Symbol.asyncDispose]: async () => {
      const closed = server.listening ? once(server, 'close') : null
      server.close()
      for (const socket of open) socket.destroy()
      await closed
    },
  }
}

/** An agent that is gone looks to the program inside as one that hangs up. */
async function connect(inside: Socket, outside: Socket): Promise<void> {
  await Promise.allSettled([pipeline(inside, outside), pipeline(outside, inside)])
  inside.destroy()
  outside.destroy()
}
