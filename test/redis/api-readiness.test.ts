import { afterAll, beforeAll, expect, test } from 'vitest'
import { WorkerId } from '#domain/ids'
import { startApi, type TestApi } from '../support/api.ts'

let api: TestApi
beforeAll(async () => {
  api = await startApi()
})
afterAll(async () => await api[Symbol.asyncDispose]())

const beat = (name: string, problem: string | null) =>
  api.store.workers.beat(
    {
      id: WorkerId.parse(name),
      host: 'h',
      version: 'v',
      startedAtMs: 1,
      seenAtMs: 1,
      capacity: 1,
      running: [],
      problem,
    },
    60_000,
  )
const workersPart = async () => (await api.call('GET', '/readyz')).body.parts.workers

test('workers that have no space are told of, and where none has any nothing is ready', async () => {
  const problem = 'worker a has 0.8 GB free on /data, needs 2 GB'
  await beat('wrk_aaaaaaaaaaaa', problem)
  expect(await workersPart()).toEqual({ ready: false, reason: `no worker takes builds: ${problem}` })
  await beat('wrk_bbbbbbbbbbbb', null)
  expect(await workersPart()).toEqual({ ready: true, reason: `2 seen; no builds taken: ${problem}` })
  await beat('wrk_aaaaaaaaaaaa', null)
  expect(await workersPart()).toEqual({ ready: true, reason: '2 seen' })
})
