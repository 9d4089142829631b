import { once } from 'node:events'
import { mkdtempDisposable } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { run } from '#host/exec'
import { openDataDirectory } from '../../../cli/supervisor/data-directory.ts'
import { refuseTakenPorts } from '../../../cli/supervisor/free-ports.ts'

const program = join(import.meta.dirname, '..', '..', '..', 'slipway')

const up = (dataDir: string, port: number) =>
  run(program, ['up', '--no-demo'], {
    okCodes: [1],
    env: {
      PATH: process.env['PATH'],
      SLIPWAY_DATA: dataDir,
      SLIPWAY_PORT: String(port),
      SLIPWAY_CLUSTER_PORT: String(port === 1 ? 2 : 1),
    },
  })

async function takenPort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    [Symbol.dispose]: () => void server.close(),
  }
}

test('a port that is taken is named, in one line, with the way out', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'slip-up-'))
  using taken = await takenPort()
  const { stderr, stdout } = await up(dir.path, taken.port)
  expect(stdout.toString()).toBe('')
  expect(stderr).toBe(
    `ERROR: Port ${taken.port} on 127.0.0.1 is in use by another program. Stop that, or set SLIPWAY_PORT to a free port.\n`,
  )
})

test('the ports of dashboard and cluster are looked at, where they are ours', async () => {
  using taken = await takenPort()
  const { port } = taken
  const config = { host: '127.0.0.1', port: 0, ownCluster: true, clusterPort: port }
  await expect(refuseTakenPorts(config)).rejects.toThrow(/set SLIPWAY_CLUSTER_PORT/)
  await refuseTakenPorts({ ...config, ownCluster: false })
  await expect(refuseTakenPorts({ ...config, port: 9, clusterPort: 9 })).rejects.toThrow(/both 9/)
  await expect(refuseTakenPorts({ ...config, host: '192.0.2.1' })).rejects.toThrow(/listen on 192\.0\.2\.1/)
})

test('a data directory is used by one at a time; the second is told by whom', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'slip-up-'))
  {
    using data = await openDataDirectory(dir.path)
    expect(data).toMatchObject({ isNew: true, adminToken: expect.stringMatching(/^slip_/) })
    const { stderr } = await up(dir.path, 1)
    expect(stderr).toBe(
      `ERROR: ${dir.path} is in use by another Slipway (process ${process.pid}). Stop it first, or set SLIPWAY_DATA and SLIPWAY_PORT to others.\n`,
    )
  }
  using again = await openDataDirectory(dir.path)
  expect(again.isNew).toBe(false)
})

test('the lock of a process that died is no lock', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'slip-up-'))
  const holder = `
    const { openDataDirectory } = await import(${JSON.stringify(join(program, '../cli/supervisor/data-directory.ts'))})
    await openDataDirectory(${JSON.stringify(dir.path)})
    process.kill(process.pid, 'SIGKILL')`
  const dying = run(process.execPath, ['--input-type=module', '-e', holder], { cwd: join(program, '..') })
  await expect(dying).rejects.toThrow(/SIGKILL/)
  using data = await openDataDirectory(dir.path)
  expect(data.isNew).toBe(false)
})
