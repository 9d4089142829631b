import { expect, test } from 'vitest'
import { type BuildTools, createSharedWork } from '#buildkit-lite'
import { writeInside } from '../../fakes/fake-sandbox.ts'
import { createSolveProcess, gate } from '../../support/solve-process.ts'

test('a step that two builds want runs once, and both hear what it says', async () => {
  const { begun, open, program } = gate()
  await using bench = await createSolveProcess(program)
  const first = bench.start('one')
  await begun
  const second = bench.start('one')
  await second.started
  open()
  expect(await first.solved).toEqual(await second.solved)
  expect(bench.sandbox.started).toEqual(['one'])
  for (const { told } of [first, second]) expect(told()).toEqual(['step-started', 'said', 'done'])
})

test('cancelling the build that began a step leaves the step to the other', async () => {
  const { begun, open, program } = gate()
  await using bench = await createSolveProcess(program)
  const controller = new AbortController()
  const first = bench.start('one', {}, controller.signal)
  await begun
  const second = bench.start('one')
  const ended = expect(first.solved).rejects.toMatchObject({ kind: 'cancelled' })
  await second.started
  controller.abort(new Error('no longer wanted'))
  await ended
  open()
  await second.solved
  expect(bench.sandbox.started).toEqual(['one'])
  expect(second.told()).toEqual(['step-started', 'said', 'done'])
})

test('a failure that builds share is told to each, and not kept', async () => {
  let code = 1
  const { begun, open, program } = gate()
  await using bench = await createSolveProcess(async (spec, signal) => ({ ...(await program(spec, signal)), code }))
  const builds = [bench.start('one')]
  await begun
  builds.push(bench.start('one'))
  await builds[1]?.started
  open()
  const results = await Promise.allSettled(builds.map(({ solved }) => solved))
  expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  expect(bench.sandbox.started).toEqual(['one'])
  code = 0
  await bench.start('one').solved
  expect(bench.sandbox.started).toEqual(['one', 'one'])
})

test('what another process did meanwhile is taken, and is no step that ran here', async () => {
  await using bench = await createSolveProcess(async (spec) => {
    await writeInside(spec, 'made', 'x')
    return { code: 0 }
  })
  const taken: string[] = []
  const waiting = Promise.withResolvers<void>()
  const free = Promise.withResolvers<void>()
  const lease = { confirm: async () => true, [Symbol.asyncDispose]: async () => {} }
  const stepLeases: BuildTools['stepLeases'] = {
    take: async (scope) => {
      taken.push(scope)
      waiting.resolve()
      await free.promise
      return lease
    },
  }
  const late = bench.start('one', { stepLeases, sharedWork: createSharedWork() })
  await waiting.promise
  await bench.start('one').solved
  free.resolve()
  await late.solved
  expect(taken).toEqual(['test'])
  expect(late.told()).toEqual(['cached'])
  expect(bench.sandbox.started).toEqual(['one'])
})

test('who has lost the lease uses what it made, and does not keep it', async () => {
  await using bench = await createSolveProcess(async (spec) => {
    await writeInside(spec, 'made', 'x')
    return { code: 0 }
  })
  const lease = { confirm: async () => false, [Symbol.asyncDispose]: async () => {} }
  await bench.start('one', { stepLeases: { take: async () => lease } }).solved
  await bench.start('one').solved
  expect(bench.sandbox.started).toEqual(['one', 'one'])
})

test('a build reads the scopes that it trusts, and writes its own alone', async () => {
  await using bench = await createSolveProcess(async (spec) => {
    await writeInside(spec, 'made', 'x')
    return { code: 0 }
  })
  await bench.start('one', { cacheScope: 'project' }).solved
  const fork = { cacheScope: 'fork', readScopes: ['project'] }
  const reading = bench.start('one', fork)
  await reading.solved
  expect(reading.told()).toEqual(['cached'])
  await bench.start('two', fork).solved
  const again = bench.start('two', fork)
  await again.solved
  expect(again.told()).toEqual(['cached'])
  await bench.start('two', { cacheScope: 'project' }).solved
  expect(bench.sandbox.started).toEqual(['one', 'two', 'two'])
})
