import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { spawn } from '#host/exec'

/** A docker-registry of one test file, on a socket in a directory of its own. */
export interface TestRegistry extends AsyncDisposable {
  /** As `SLIPWAY_REGISTRY` names our own child. */
  readonly url: string
}

export async function startRegistry(): Promise<TestRegistry> {
  const dir = await mkdtemp(join(tmpdir(), 'slip-registry-'))
  const socket = join(dir, 'registry.sock')
  const config = {
    version: 0.1,
    log: { level: 'error', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(dir, 'storage') }, delete: { enabled: true } },
    http: { net: 'unix', addr: socket, relativeurls: true, secret: 'a secret of the tests' },
  }
  await mkdir(join(dir, 'storage'))
  // JSON is YAML.
  await writeFile(join(dir, 'config.yml'), JSON.stringify(config))
  const server = spawn('docker-registry', ['serve', join(dir, 'config.yml')], { stdio: 'ignore' })
  while (!(await answers(socket))) {
    if (server.exitCode !== null) throw new Error(`docker-registry ended with code ${server.exitCode}`)
    await sleep(20)
  }
  return {
    url: `unix:${socket}`,
    async [Symbol.asyncDispose]() {
      const ended = once(server, 'exit')
      server.kill('SIGKILL')
      await ended
      await rm(dir, { recursive: true, force: true })
    },
  }
}

async function answers(socketPath: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const call = request({ socketPath, path: '/v2/' }, (response) => {
    response.resume()
    resolve(response.statusCode === 200)
  })
  call.once('error', () => resolve(false))
  call.end()
  return promise
}
