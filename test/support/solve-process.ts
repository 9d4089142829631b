import { join } from 'node:path'
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
import { createRemoteSources } from '../../buildkit-lite/remote/remote-sources.ts'
import { solve } from '../../buildkit-lite/solver/solve.ts'
import { createFakeSandbox, type Program, writeInside } from '../fakes/fake-sandbox.ts'

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

/** Builds of one RUN that share a process, with real caches over a fake sandbox; each keeps its own events. */
export async function createSolveProcess(program: Program) {
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
export function gate() {
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
