import { mkdtempDisposable, readFile, stat } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { exited, spawn } from '#host/exec'
import { startRedis } from '../support/redis.ts'

const main = join(import.meta.dirname, '..', '..', 'api', 'main.ts')

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address ? address.port : 0
}

test('the process starts, keeps its token private, and stops with streams open', async () => {
  await using redis = await startRedis()
  await using dir = await mkdtempDisposable(join(tmpdir(), 'slip-main-'))
  const port = await freePort()
  const env = { PATH: '/usr/bin:/bin', SLIPWAY_DATA: dir.path, SLIPWAY_PORT: String(port), REDIS_URL: redis.url }
  const child = spawn(process.execPath, [main], { env, stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  for await (const chunk of child.stderr!.iterator({ destroyOnReturn: false })) {
    said += String(chunk)
    if (said.includes('"listening"')) break
  }
  child.stderr!.resume()
  expect(said).toContain('"listening"')
  const file = join(dir.path, 'admin-token')
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  const authorization = `Bearer ${(await readFile(file, 'utf8')).trim()}`
  const stream = await fetch(`http://127.0.0.1:${port}/api/v1/builds/events`, { headers: { authorization } })
  expect(stream.status).toBe(200)
  const before = performance.now()
  child.kill('SIGTERM')
  expect(await exited(child)).toEqual({ code: 0, signal: null })
  expect(performance.now() - before).toBeLessThan(5000)
})
