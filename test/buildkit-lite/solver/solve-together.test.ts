import { join } from 'node:path'
import { expect, test } from 'vitest'
import {
  type BuildRequest,
  type BuildTools,
  createSharedWork,
  DEFAULT_IMAGE_SETTINGS,
  DEFAULT_RUN_SETTINGS,
  openBlobStore,
  openFileStepCache,
  type Plan,
  type SolveEvent,
} from '#buildkit-lite'
import { createRemoteSources } from '../../../buildkit-lite/remote/remote-sources.ts'
import { solve } from '../../../buildkit-lite/solver/solve.ts'
import { createFakeSandbox, type Program, writeInside } from '../../fakes/fake-sandbox.ts'

const never = new AbortController().signal

function planOf(command: string): Plan {
  return {
    steps: [
      {
        stage: 'stage-0',
        title: `RUN ${command}`,
        line: 2,
        operation: {
          kind: 'run',
          input: null,
          args: [command],
          env: [],
          proxyEnv: [],
          workingDir: '/',
          user: '',
          network: 'none',
          security: 'sandbox',
          hostname: 'step',
          mounts: [],
          scripts: [],
        },
      },
    ],
    target: {
      fileSystem: 0,
      config: { architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [] } },
      history: [],
    },
    warnings: [],
    sourceDateEpoch: null,
  }
}

/** Builds that share a process; each keeps its own events. */
async function createProcess(program: Program) {
  const sandbox = await createFakeSandbox(program)
  const shared: Omit<BuildTools, 'report'> = {
    ...sandbox,
    blobs: await openBlobStore(join(sandbox.dir, 'blobs')),
    // No step of these plans comes from a registry.
    registry: {} as BuildTools['registry'],
    cache: await openFileStepCache(join(sandbox.dir, 'cache')),
    stateDir: join(sandbox.dir, 'state'),
    sharedWork: createSharedWork(),
    limits: { stepMemoryBytes: 2 ** 30, stepPids: 100, stepCpus: null },
    now: () => 1000,
  }
  const start = (command: string, change: Partial<BuildRequest & BuildTools> = {}, signal = never) => {
    const events: SolveEvent[] = []
    const started = Promise.withResolvers<void>()
    const report = async (event: SolveEvent) => {
      events.push(event)
      if (event.kind === 'step-started') started.resolve()
    }
    const tools = { ...shared, report, ...change }
    const request = {
      useCache: true,
      noCacheStages: [],
      cacheScope: 'test',
      platform: { os: 'linux', architecture: 'amd64' },
      namedContexts: {},
      extraHosts: [],
      secrets: {},
      run: DEFAULT_RUN_SETTINGS,
      image: DEFAULT_IMAGE_SETTINGS,
      ...change,
    } as unknown as BuildRequest
    const source = { name: 'Dockerfile', text: `FROM scratch\nRUN ${command}\n` }
    const remote = createRemoteSources(request, tools)
    const solved = solve(planOf(command), { request, source, remote }, tools, signal)
    return { solved, started: started.promise, told: () => events.map(describe) }
  }
  return { sandbox, start, [Symbol.asyncDispose]: () => sandbox[Symbol.asyncDispose]() }
}

function describe(event: SolveEvent): string {
  if (event.kind === 'output') return event.bytes.toString()
  return event.kind === 'step-finished' ? event.outcome.kind : event.kind
}

/** A program that waits to be let go, and says when it has begun. */
function gate() {
  const begun = Promise.withResolvers<void>()
  const free = Promise.withResolvers<void>()
  const program: Program = async (spec) => {
    begun.resolve()
    await free.promise
    await writeInside(spec, 'made', 'x')
    return { code: 0, output: 'said' }
  }
  return { begun: begun.promise, open: free.resolve, program }
}

test('a step that two builds want runs once, and both hear what it says', async () => {
  const { begun, open, program } = gate()
  await using bench = await createProcess(program)
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
  await using bench = await createProcess(program)
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
  await using bench = await createProcess(async (spec, signal) => ({ ...(await program(spec, signal)), code }))
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
  await using bench = await createProcess(async (spec) => {
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
  await using bench = await createProcess(async (spec) => {
    await writeInside(spec, 'made', 'x')
    return { code: 0 }
  })
  const lease = { confirm: async () => false, [Symbol.asyncDispose]: async () => {} }
  await bench.start('one', { stepLeases: { take: async () => lease } }).solved
  await bench.start('one').solved
  expect(bench.sandbox.started).toEqual(['one', 'one'])
})

test('a build reads the scopes that it trusts, and writes its own alone', async () => {
  await using bench = await createProcess(async (spec) => {
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
