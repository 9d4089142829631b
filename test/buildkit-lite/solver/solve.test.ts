import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { BuildRequest, BuildTools, SolveEvent } from '#buildkit-lite'
import {
  createSharedWork,
  DEFAULT_IMAGE_SETTINGS,
  DEFAULT_RUN_SETTINGS,
  openBlobStore,
  openFileStepCache,
} from '#buildkit-lite'
import { SourceError } from '#domain/errors'
import type { Plan, PlanStep, RunOperation } from '../../../buildkit-lite/plan/plan.ts'
import { createRemoteSources } from '../../../buildkit-lite/remote/remote-sources.ts'
import { solve } from '../../../buildkit-lite/solver/solve.ts'
import type { SolvedStep } from '../../../buildkit-lite/solver/step-state.ts'
import { createFakeSandbox, type FakeSandbox, type Program, writeInside } from '../../fakes/fake-sandbox.ts'

const source = { name: 'Dockerfile', text: 'FROM scratch\nRUN one\nRUN two\n' }
const never = new AbortController().signal

function runStep(command: string, input: number | null, more: Partial<RunOperation> = {}): PlanStep {
  const operation: RunOperation = {
    kind: 'run',
    input,
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
    ...more,
  }
  return { stage: 'stage-0', title: `RUN ${command}`, line: 2, operation }
}

const planOf = (...steps: PlanStep[]): Plan => ({
  steps,
  target: {
    fileSystem: steps.length - 1,
    config: { architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [] } },
    history: [],
  },
  warnings: [],
  sourceDateEpoch: null,
})

interface Bench extends AsyncDisposable {
  sandbox: FakeSandbox
  events: SolveEvent[]
  tools: BuildTools
  solve(plan: Plan, request?: Partial<BuildRequest>, signal?: AbortSignal): Promise<readonly SolvedStep[]>
  outcomes(): string[]
}

/** A solver with real caches and blobs over a fake sandbox. */
async function createBench(program: Program): Promise<Bench> {
  const sandbox = await createFakeSandbox(program)
  const events: SolveEvent[] = []
  const tools: BuildTools = {
    ...sandbox,
    blobs: await openBlobStore(join(sandbox.dir, 'blobs')),
    // No step of these plans comes from a registry.
    registry: {} as BuildTools['registry'],
    cache: await openFileStepCache(join(sandbox.dir, 'cache')),
    stateDir: join(sandbox.dir, 'state'),
    sharedWork: createSharedWork(),
    limits: { stepMemoryBytes: 2 ** 30, stepPids: 100, stepCpus: null },
    report: async (event) => {
      events.push(event)
    },
    now: () => 1000,
  }
  const platform = { os: 'linux', architecture: 'amd64' }
  const request = { useCache: true, noCacheStages: [], cacheScope: 'test', platform }
  return {
    sandbox,
    events,
    tools,
    solve: async (plan, change = {}, signal = never) => {
      events.length = 0
      sandbox.started.length = 0
      const rest = {
        namedContexts: {},
        extraHosts: [],
        secrets: {},
        run: DEFAULT_RUN_SETTINGS,
        image: DEFAULT_IMAGE_SETTINGS,
      }
      const asked = { ...request, ...rest, ...change } as unknown as BuildRequest
      const remote = createRemoteSources(asked, tools)
      return await solve(plan, { request: asked, source, remote }, tools, signal)
    },
    outcomes: () =>
      events
        .filter((event) => event.kind === 'step-finished')
        .sort((a, b) => a.step - b.step)
        .map((event) => event.outcome.kind),
    [Symbol.asyncDispose]: () => sandbox[Symbol.asyncDispose](),
  }
}

const writes: Program = async (spec) => {
  await writeInside(spec, spec.args[0] ?? '', 'x')
  return { code: 0 }
}

test('a second solve runs nothing and makes the same layers', async () => {
  await using bench = await createBench(writes)
  const plan = planOf(runStep('one', null), runStep('two', 0))
  const first = await bench.solve(plan)
  expect(bench.sandbox.started).toEqual(['one', 'two'])
  const second = await bench.solve(plan)
  expect(bench.sandbox.started).toEqual([])
  expect(bench.outcomes()).toEqual(['cached', 'cached'])
  expect(second).toEqual(first)
})

test('a change runs again from there on, and says why', async () => {
  await using bench = await createBench(writes)
  await bench.solve(planOf(runStep('one', null), runStep('two', 0), runStep('three', 1)))
  await bench.solve(planOf(runStep('one', null), runStep('two', 0, { env: ['A=1'] }), runStep('three', 1)))
  expect(bench.outcomes()).toEqual(['cached', 'done', 'done'])
  const reasons = bench.events.flatMap((event) => (event.kind === 'step-started' ? [event.missReason] : []))
  expect(reasons).toEqual(['ENV A was added', 'an earlier step changed'])
})

test('steps that need nothing of each other run at the same time', async () => {
  const both = Promise.withResolvers<void>()
  let running = 0
  await using bench = await createBench(async () => {
    if (++running === 2) both.resolve()
    await both.promise
    return { code: 0 }
  })
  await bench.solve(planOf(runStep('one', null), runStep('two', null)))
  expect(bench.outcomes()).toEqual(['done', 'done'])
})

test('identical steps run once', async () => {
  await using bench = await createBench(writes)
  const [one, two] = await bench.solve(planOf(runStep('same', null), runStep('same', null)))
  expect(bench.sandbox.started).toEqual(['same'])
  expect(one?.chain).toEqual(two?.chain)
})

test('the first failure cancels the others and is shown where it stands', async () => {
  const waiting = Promise.withResolvers<void>()
  await using bench = await createBench(async (spec, signal) => {
    if (spec.args[0] === 'fails') {
      await waiting.promise
      return { code: 7 }
    }
    const { promise, resolve } = Promise.withResolvers<{ code: number }>()
    signal.addEventListener('abort', () => resolve({ code: 137 }), { once: true })
    waiting.resolve()
    return await promise
  })
  const failure = await bench
    .solve(planOf(runStep('waits', null), runStep('fails', null), runStep('after', 1)))
    .catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(SourceError)
  expect(failure).toMatchObject({
    kind: 'step-failed',
    message: 'process "fails" did not complete successfully: exit code: 7',
    file: 'Dockerfile',
    line: 2,
    excerpt: expect.stringContaining('>>> RUN one'),
  })
  expect(bench.outcomes().sort()).toEqual(['cancelled', 'failed'])
  expect(bench.sandbox.started).not.toContain('after')
})

test('a failed step runs again, those before it do not', async () => {
  let fails = true
  await using bench = await createBench(async (spec) => ({ code: spec.args[0] === 'two' && fails ? 1 : 0 }))
  const plan = planOf(runStep('one', null), runStep('two', 0))
  await expect(bench.solve(plan)).rejects.toThrow('exit code: 1')
  fails = false
  await bench.solve(plan)
  expect(bench.outcomes()).toEqual(['cached', 'done'])
})

test('memory that ran out is told from any other end', async () => {
  await using bench = await createBench(async () => ({ code: 137, oom: true }))
  await expect(bench.solve(planOf(runStep('eats', null)))).rejects.toMatchObject({ kind: 'out-of-memory' })
})

test('cancelling ends what runs and keeps the reason', async () => {
  const controller = new AbortController()
  await using bench = await createBench(async () => {
    controller.abort(new Error('nobody wants it any more'))
    return { code: 0 }
  })
  await expect(bench.solve(planOf(runStep('one', null)), {}, controller.signal)).rejects.toMatchObject({
    kind: 'cancelled',
    message: 'The build was cancelled: nobody wants it any more',
  })
  expect(bench.outcomes()).toEqual(['cancelled'])
})

test('a result whose layer is gone is no result', async () => {
  await using bench = await createBench(writes)
  const plan = planOf(runStep('one', null))
  const [solved] = await bench.solve(plan)
  const digest = solved!.chain.layers[0]!.layer.descriptor.digest
  await rm(await bench.tools.blobs.pathOf(digest))
  await bench.solve(plan)
  expect(bench.sandbox.started).toEqual(['one'])
})

test('without the cache everything runs, and what it makes is kept', async () => {
  await using bench = await createBench(writes)
  const plan = planOf(runStep('one', null))
  await bench.solve(plan)
  await bench.solve(plan, { useCache: false })
  expect(bench.sandbox.started).toEqual(['one'])
  await bench.solve(plan)
  expect(bench.outcomes()).toEqual(['cached'])
})

test('stages may go without the cache: what they make is kept, and what is on top runs where files changed', async () => {
  let content = 'same'
  const writesContent: Program = async (spec) => {
    await writeInside(spec, spec.args[0] ?? '', content)
    return { code: 0 }
  }
  await using bench = await createBench(writesContent)
  const files = (from: number): RunOperation['mounts'] => [
    { kind: 'bind', from: { kind: 'step', fileSystem: from }, source: '/one', target: '/m', readonly: true },
  ]
  const plan = planOf(
    { ...runStep('one', null), stage: 'Tools' },
    { ...runStep('two', null, { mounts: files(0) }), stage: 'app' },
  )
  await bench.solve(plan)
  await bench.solve(plan, { noCacheStages: ['tools'] })
  expect(bench.sandbox.started).toEqual(['one'])
  expect(bench.outcomes()).toEqual(['done', 'cached'])
  content = 'changed'
  await bench.solve(plan, { noCacheStages: ['tools'] })
  expect(bench.sandbox.started).toEqual(['one', 'two'])
  await bench.solve(plan)
  expect(bench.outcomes()).toEqual(['cached', 'cached'])
})

test('scopes share nothing', async () => {
  await using bench = await createBench(writes)
  await bench.solve(planOf(runStep('one', null)))
  await bench.solve(planOf(runStep('one', null)), { cacheScope: 'another' })
  expect(bench.sandbox.started).toEqual(['one'])
})

test('a required secret that was not given fails the step', async () => {
  await using bench = await createBench(writes)
  const mounts = [
    { kind: 'secret', id: 'zz', target: '/run/zz', env: null, required: true, mode: 0o400, uid: 0, gid: 0 } as const,
  ]
  await expect(bench.solve(planOf(runStep('one', null, { mounts })))).rejects.toThrow('secret zz: not found')
  expect(bench.sandbox.started).toEqual([])
})

test('a network is made ready when a step that wants one has to run, and only then', async () => {
  await using bench = await createBench(writes)
  let calls = 0
  bench.tools.networks = { ...bench.tools.networks, warmUp: () => void calls++ }
  const callsOf = async (...steps: PlanStep[]) => {
    calls = 0
    await bench.solve(planOf(...steps))
    return calls
  }
  const networked = runStep('two', 0, { network: 'default' })
  expect(await callsOf(runStep('one', null), runStep('other', null, { network: 'default' }))).toBe(1)
  expect(await callsOf(runStep('one', null), networked)).toBe(1)
  expect(await callsOf(runStep('one', null), networked)).toBe(0)
  expect(await callsOf(runStep('none', null))).toBe(0)
})
