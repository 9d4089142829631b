import { mkdir, mkdtempDisposable, readdir, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Build } from '#domain/build'
import { exited, spawn } from '#host/exec'
import { type RunningSlipway, startSlipway, until } from '../support/slipway.ts'

const projectDir = join(import.meta.dirname, '..', '..')

const DOCKERFILE = `FROM busybox AS tools
RUN date +%N > /tool
FROM busybox
COPY f /f
RUN --mount=from=tools,source=/tool,target=/t cat /t /f > /out
RUN date +%N > /stamp
`

/** A worker with a data directory of its own, as on another machine; only what was pushed to us lies in one place. */
async function startWorker(slipway: RunningSlipway, dataDir: string): Promise<AsyncDisposable> {
  await mkdir(join(dataDir, 'git'), { recursive: true })
  await symlink(join(slipway.dataDir, 'git', 'repos'), join(dataDir, 'git', 'repos'))
  const child = spawn(join(projectDir, 'slipway'), ['worker'], {
    cwd: projectDir,
    env: {
      ...process.env,
      SLIPWAY_DATA: dataDir,
      SLIPWAY_PORT: String(slipway.port),
      REDIS_URL: `unix://${join(slipway.dataDir, 'redis', 'redis.sock')}`,
      SLIPWAY_KUBECONFIG: join(slipway.dataDir, 'kubeconfig'),
    },
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => (output += chunk.toString()))
  await until('the second worker to wait for builds', 60_000, async () => output.includes('waiting for builds'))
  return {
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGTERM')
      await exited(child)
    },
  }
}

test('a worker with an empty disk builds what another has built without running or pulling anything', async () => {
  await using slipway = await startSlipway({ demo: true })
  await until('the demo to be live', 120_000, async () => slipway.output().includes('Running app'))
  const repository = await slipway.repository('check/shared', { Dockerfile: DOCKERFILE, f: 'x\n' })
  await repository.push()
  const first = await slipway.build('check/shared', 1)
  expect(first.status).toBe('succeeded')

  const firstWorker = await slipway.pidOf('worker')
  process.kill(firstWorker, 'SIGSTOP')
  using _ = { [Symbol.dispose]: () => void process.kill(firstWorker, 'SIGCONT') }
  await using dir = await mkdtempDisposable(join(tmpdir(), 'slipway-e2e-worker-'))
  await using _worker = await startWorker(slipway, dir.path)
  const { status } = await slipway.api<Build>('POST', `/api/v1/builds/${first.id}/retry`)
  expect(status).toBeLessThan(300)
  const second = await slipway.build('check/shared', 2)
  expect(second.status).toBe('succeeded')
  expect(second.worker).not.toBe(first.worker)
  // An image that is not here is named, and left where it is.
  const run = second.steps.filter(({ title, cached }) => !title.startsWith('FROM') && !cached)
  expect(run.map(({ title }) => title)).toEqual([])
  expect(second.image?.digest).toBe(first.image?.digest)
  expect(await readdir(join(dir.path, 'blobs', 'sha256'))).toEqual([])
})
