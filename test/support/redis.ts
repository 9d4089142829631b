import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { exited, spawn } from '#host/exec'

/** A redis-server of one test file, on a socket in a directory of its own. */
export interface TestRedis extends AsyncDisposable {
  readonly url: string
  readonly socket: string
}

export async function startRedis(): Promise<TestRedis> {
  const dir = await mkdtemp(join(tmpdir(), 'slip-redis-'))
  const socket = join(dir, 'redis.sock')
  const server = spawn('redis-server', ['--port', '0', '--unixsocket', socket, '--save', '', '--dir', dir])
  let said = ''
  for await (const chunk of server.stdout ?? []) {
    said += String(chunk)
    if (said.includes('Ready to accept connections') || said.includes('ready to accept connections')) break
  }
  server.stdout?.destroy()
  if (!said.toLowerCase().includes('ready to accept')) throw new Error(`redis-server did not start:\n${said}`)
  return {
    url: `unix://${socket}`,
    socket,
    async [Symbol.asyncDispose]() {
      const ended = server.exitCode === null && server.signalCode === null ? once(server, 'exit') : exited(server)
      server.kill('SIGKILL')
      await ended
      await rm(dir, { recursive: true, force: true })
    },
  }
}
