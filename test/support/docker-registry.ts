import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { exited, spawn } from '../../core/host/exec.ts'

export interface TestRegistry extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  host: string
}

/** Starts the real registry on a free port of the loopback, with its storage in a temporary directory. */
export async function startDockerRegistry(): Promise<TestRegistry> {
  const dir = await mkdtemp(join(tmpdir(), 'slip-registry-'))
  const host = `127.0.0.1:${await freePort()}`
  const config = {
    version: 0.1,
    log: { level: 'error', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(dir, 'data') }, delete: { enabled: true } },
    http: { addr: host },
  }
  await writeFile(join(dir, 'config.yml'), JSON.stringify(config))
  const child = spawn('docker-registry', ['serve', join(dir, 'config.yml')], { stdio: 'ignore' })
  const ended = exited(child)
  await untilAnswering(`http://${host}/v2/`, ended)
  return {
    host,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM')
      await ended
      await rm(dir, { recursive: true, force: true })
    },
  }
}

async function untilAnswering(url: string, ended: Promise<unknown>): Promise<void> {
  const end = ended.then(() => 'ended')
  for (;;) {
    const response = await fetch(url).catch(() => null)
    if (response?.ok) return
    if ((await Promise.race([end, sleep(20)])) === 'ended')
      throw new Error(`docker-registry ended before it answered at ${url}`)
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
