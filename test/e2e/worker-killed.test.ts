import { expect, test } from 'vitest'
import { countHost, startSlipway, until } from '../support/slipway.ts'

test('kill -9 of the worker in the middle of a RUN: the next worker finishes the build and nothing is left', async () => {
  await using slipway = await startSlipway({ demo: true })
  await until('the demo to be live', 120_000, async () => slipway.output().includes('Running app'))
  const idle = await countHost(slipway.dataDir)
  const repository = await slipway.repository('check/slow', {
    Dockerfile: 'FROM busybox\nRUN echo begun; sleep 6; echo ended\nRUN date +%N > /stamp\n',
  })
  const pushing = repository.push()
  const running = await until('the build to be queued', 60_000, async () => slipway.newest('check/slow'))
  await slipway.sees(running, 'begun')
  process.kill(await slipway.pidOf('worker'), 'SIGKILL')

  const build = await slipway.build('check/slow', 1)
  await pushing
  expect(build).toMatchObject({ id: running.id, status: 'succeeded', attempt: 2 })
  const events = await (
    await fetch(`${slipway.baseUrl}/api/v1/builds/${build.id}/events`, {
      headers: { authorization: `Bearer ${slipway.token}` },
    })
  ).text()
  expect(events.match(/^event: pushed$/gm)).toHaveLength(1)
  await until(
    'the host to be as before',
    20_000,
    async () => JSON.stringify(await countHost(slipway.dataDir)) === JSON.stringify(idle),
  ).catch(() => {})
  expect(await countHost(slipway.dataDir)).toEqual(idle)
})

test('kill -9 of everything in the middle of a RUN: the next start reaps what is left and finishes the build', async () => {
  const before = await countHost('/slipway-e2e-')
  await using first = await startSlipway({ demo: true })
  await until('the demo to be live', 120_000, async () => first.output().includes('Running app'))
  const repository = await first.repository('check/slow', { Dockerfile: 'FROM busybox\nRUN echo begun; sleep 4\n' })
  await repository.push('-o', 'nowait')
  const running = await first.newest('check/slow')
  await first.sees(running, 'begun')
  await first.kill()
  await using second = await startSlipway({ dataDir: first.dataDir, port: first.port })
  expect(await second.build('check/slow', 1)).toMatchObject({ id: running.id, status: 'succeeded', attempt: 2 })
  const { code } = await second.stop()
  expect(code).toBe(0)
  expect(await countHost('/slipway-e2e-')).toEqual(before)
})
