import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Build, BuildOrder } from '#domain/build'
import { SlipwayError, SourceError } from '#domain/errors'
import type { CommitSha, ProjectName } from '#domain/ids'
import type { Claim, Store } from '#store/contract'
import { openStore } from '#store/open-store'
import { runBuild } from '../../../workers/run-build.ts'
import { noSecrets, orderOf, projectOf, workerId } from '../../core/store/orders.ts'
import { startRedis, type TestRedis } from '../../support/redis.ts'
import { depsOf, digestOf, type FakeBuild, imageOf, pushedRepository, recordingRegistry } from './fake-build.ts'

let redis: TestRedis
let store: Store
let project: ProjectName
let repository: Awaited<ReturnType<typeof pushedRepository>>
let registry: ReturnType<typeof recordingRegistry>

beforeAll(async () => {
  redis = await startRedis()
  store = await openStore(redis.url)
  project = (await store.projects.create(projectOf('acme/web'), noSecrets)).name
  repository = await pushedRepository(project)
})
afterAll(async () => {
  await repository[Symbol.asyncDispose]()
  await store[Symbol.asyncDispose]()
  await redis[Symbol.asyncDispose]()
})
beforeEach(() => {
  registry = recordingRegistry()
})

const forever = new AbortController().signal

async function claimOf(change: Partial<BuildOrder> = {}): Promise<Claim> {
  const order = orderOf(project, { commit: repository.commit, ...change })
  const [build] = await store.builds.enqueue([order], Date.now())
  return (await store.builds.claim(build!.id, workerId(), 60_000, Date.now()))!
}

async function runWith(build: FakeBuild, claim: Claim, signal: AbortSignal = forever): Promise<Build> {
  await runBuild(depsOf(store, repository.dir, build, registry.open), claim, signal)
  return (await store.builds.get(claim.build.id))!
}

async function kindsOf(build: Build): Promise<string[]> {
  const kinds: string[] = []
  for await (const { event } of store.builds.events(build.id, null, forever)) kinds.push(event.kind)
  return kinds
}

const plan = {
  steps: [{ stage: 'final', title: 'RUN true', line: 2, operation: { kind: 'run' } }],
  warnings: [],
} as never

test('a Dockerfile may do what the operator allows, and no more', async () => {
  const seen: unknown[] = []
  for (const entitlements of [[], ['network.host' as const]]) {
    const build: FakeBuild = async ({ run }) => {
      seen.push(run.entitlements)
      return imageOf('image')
    }
    const deps = { ...depsOf(store, repository.dir, build, registry.open), entitlements }
    await runBuild(deps, await claimOf(), forever)
  }
  expect(seen).toEqual([[], ['network.host']])
})

test('a build fetches, builds, pushes by digest before its tags, and ends', async () => {
  const image = imageOf('image one')
  const build = await runWith(
    async (request, tools) => {
      expect(request).toMatchObject({ dockerfile: { path: 'Dockerfile' }, cacheScope: project })
      await tools.report({ kind: 'planned', plan })
      await tools.report({ kind: 'step-started', step: 0, missReason: 'first build' })
      await tools.report({ kind: 'output', step: 0, stream: 'stdout', bytes: Buffer.from(`${registry.tokens[0]}\nok`) })
      await tools.report({ kind: 'step-finished', step: 0, outcome: { kind: 'done' } })
      return image
    },
    await claimOf({ tags: ['latest', '1.0'] }),
  )
  expect(build).toMatchObject({
    status: 'succeeded',
    message: 'First',
    author: 'Ann',
    image: { name: 'registry.test:5000/acme/web', digest: image.manifestDigest, sizeBytes: 3 },
    steps: [{ title: 'RUN true', status: 'succeeded', exitCode: 0, missReason: 'first build' }],
    logLines: 2,
  })
  expect(await kindsOf(build)).toEqual([
    'queued',
    'started',
    'source-fetched',
    'planned',
    'step-started',
    'log',
    'step-finished',
    'image-ready',
    'pushed',
    'finished',
  ])
  expect(registry.pushed).toEqual([
    digestOf('{}'),
    `registry.test:5000/acme/web@${image.manifestDigest}`,
    'registry.test:5000/acme/web:latest',
    'registry.test:5000/acme/web:1.0',
  ])
})

const warning = {
  rule: 'StageNameCasing',
  message: "Stage name 'Web' should be lowercase",
  description: 'Stage names should be lowercase',
  url: 'https://docs.example/stage-name-casing/',
  file: 'Dockerfile',
  line: 1,
  lastLine: 1,
  excerpt: '   1 | >>> FROM base AS Web',
}
const warningLines = async (build: Build): Promise<string[]> => {
  const texts: string[] = []
  for await (const { event } of store.builds.events(build.id, null, forever))
    if (event.kind === 'log') texts.push(...event.text.trimEnd().split('\n'))
  return texts
}

test('warnings of the plan are kept with the build and have a line of the log each', async () => {
  const build = await runWith(
    async (_request, tools) => {
      const warned = { ...(plan as object), warnings: [warning] } as never
      await tools.report({ kind: 'planned', plan: warned })
      return imageOf('warned')
    },
    await claimOf(),
  )
  expect(build).toMatchObject({ status: 'succeeded', warnings: [warning], logLines: 1 })
  expect(await warningLines(build)).toEqual(["Warning: StageNameCasing: Stage name 'Web' should be lowercase (line 1)"])
})

test('warnings of a Dockerfile with a mistake come before the error', async () => {
  const place = { file: 'Dockerfile', line: 2, excerpt: '2 | RUNN' }
  const build = await runWith(
    async (_request, tools) => {
      await tools.report({ kind: 'warned', warnings: [warning] })
      throw new SourceError('dockerfile-invalid', 'unknown instruction: RUNN', place)
    },
    await claimOf(),
  )
  expect(build).toMatchObject({ status: 'failed', warnings: [warning], error: { kind: 'dockerfile-invalid' } })
  expect((await kindsOf(build)).filter((kind) => kind === 'warnings' || kind === 'finished')).toEqual([
    'warnings',
    'finished',
  ])
})

test('a record keeps so many warnings and says how many more there are', async () => {
  const build = await runWith(
    async (_request, tools) => {
      await tools.report({ kind: 'warned', warnings: Array.from({ length: 60 }, () => warning) })
      return imageOf('many')
    },
    await claimOf(),
  )
  expect(build.warnings).toHaveLength(50)
  expect((await warningLines(build)).at(-1)).toBe('Warning: 10 more warnings are not shown')
})

test('the push token is for this project, is masked, and is worth nothing after the build', async () => {
  const claim = await claimOf()
  await runWith(async (_request, tools) => {
    expect(await store.tokens.check(registry.tokens[0]!)).toEqual({
      kind: 'registry',
      repository: project,
      actions: ['pull', 'push'],
      alsoPull: ['library/*'],
    })
    await tools.report({ kind: 'planned', plan })
    await tools.report({ kind: 'output', step: 0, stream: 'stdout', bytes: Buffer.from(`<${registry.tokens[0]}>\n`) })
    return imageOf('masked')
  }, claim)
  expect(await store.tokens.check(registry.tokens[0]!)).toBeNull()
  for await (const { event } of store.builds.events(claim.build.id, null, forever))
    if (event.kind === 'log') expect(event.text).toBe('<***>\n')
})

test('a build that pushes nothing leaves the registry alone', async () => {
  const build = await runWith(async () => imageOf('x'), await claimOf({ push: false }))
  expect(build).toMatchObject({ status: 'succeeded', image: { digest: digestOf('x') } })
  expect(registry.pushed).toEqual([])
})

test('a step that fails fails the build, with what the builder said', async () => {
  const place = { file: 'Dockerfile', line: 2, excerpt: '2 | RUN false' }
  const build = await runWith(
    async (_request, tools) => {
      await tools.report({ kind: 'planned', plan })
      await tools.report({ kind: 'step-started', step: 0, missReason: null })
      const outcome = { kind: 'failed', error: 'step-failed', message: 'exit code 1', exitCode: 1 } as const
      await tools.report({ kind: 'step-finished', step: 0, outcome })
      throw new SourceError('step-failed', 'RUN false exited with code 1', place)
    },
    await claimOf(),
  )
  expect(build).toMatchObject({
    status: 'failed',
    error: { kind: 'step-failed', ...place },
    steps: [{ status: 'failed', exitCode: 1 }],
  })
  expect(registry.pushed).toEqual([])
})

test.for([
  [new SlipwayError('cancelled', 'not needed'), 'cancelled', 'cancelled'],
  [new SlipwayError('timed-out', 'too long'), 'failed', 'timed-out'],
] as const)('aborted for %s it ends as %s, and so does the step that ran', async ([reason, status, kind]) => {
  const stop = new AbortController()
  const build = await runWith(
    async (_request, tools, signal) => {
      await tools.report({ kind: 'planned', plan })
      await tools.report({ kind: 'step-started', step: 0, missReason: null })
      stop.abort(reason)
      throw signal.reason
    },
    await claimOf(),
    stop.signal,
  )
  expect(build).toMatchObject({ status, error: { kind, message: reason.message }, steps: [{ status: 'cancelled' }] })
})

test('a worker that stops gives the build back, and the next attempt goes on with its line numbers', async () => {
  const claim = await claimOf()
  const stop = new AbortController()
  const build = await runWith(
    async (_request, tools, signal) => {
      await tools.report({ kind: 'planned', plan })
      await tools.report({ kind: 'output', step: 0, stream: 'stdout', bytes: Buffer.from('a\nb\n') })
      stop.abort(new SlipwayError('unavailable', 'its worker was stopped'))
      throw signal.reason
    },
    claim,
    stop.signal,
  )
  expect(build).toMatchObject({ status: 'queued', attempt: 1, logLines: 2 })
  const again = (await store.builds.claim(build.id, workerId(), 60_000, Date.now()))!
  await runWith(async (_request, tools) => {
    await tools.report({ kind: 'planned', plan })
    await tools.report({ kind: 'output', step: 0, stream: 'stdout', bytes: Buffer.from('c\n') })
    return imageOf('again')
  }, again)
  const numbers: number[] = []
  for await (const { event } of store.builds.events(build.id, null, forever))
    if (event.kind === 'log') numbers.push(event.firstLine)
  expect(numbers).toEqual([1, 3])
})

test('a worker that lost its claim pushes nothing and writes nothing', async () => {
  const claim = await claimOf()
  const build = await runWith(async () => {
    await store.builds.reclaimFrom(claim.worker, Date.now(), 3)
    return imageOf('late')
  }, claim)
  expect(registry.pushed).toEqual([])
  expect(build).toMatchObject({ status: 'queued', image: null })
  await store.builds.cancel(build.id, 'done with', Date.now())
})

test('an older build does not move a tag that a newer one has', async () => {
  const [older, newer] = [await claimOf(), await claimOf()]
  await runWith(async () => imageOf('new'), newer)
  registry.pushed.length = 0
  await runWith(async () => imageOf('old'), older)
  expect(registry.pushed).not.toContain('registry.test:5000/acme/web:latest')
  for await (const { event } of store.builds.events(older.build.id, null, forever))
    if (event.kind === 'pushed') expect(event.tags).toEqual([])
})

test('a commit that is nowhere is source-unavailable', async () => {
  const build = await runWith(async () => imageOf('x'), await claimOf({ commit: '1'.repeat(40) as CommitSha }))
  expect(build).toMatchObject({ status: 'failed', error: { kind: 'source-unavailable' } })
})

test('a pushed image asks for its rollouts once, and a build after it follows them', async () => {
  const deploy = [{ namespace: 'default', deployment: 'web', container: 'web' }]
  const first = await runWith(async () => imageOf('live'), await claimOf({ deploy }))
  const second = await runWith(async () => imageOf('live'), await claimOf({ deploy }))
  expect(first.rollouts).toHaveLength(1)
  expect(second.rollouts).toEqual(first.rollouts)
  const rollout = await store.rollouts.claim(workerId(), 60_000, Date.now())
  expect(rollout).toMatchObject({
    id: first.rollouts[0],
    image: `registry.test:5000/acme/web@${digestOf('live')}`,
    build: first.id,
  })
  await store.rollouts.update(rollout!.id, { status: 'succeeded', message: 'live' })
  const third = await runWith(async () => imageOf('live'), await claimOf({ deploy }))
  // Its stream ends, so it was told that the rollout is over.
  expect((await kindsOf(third)).slice(-2)).toEqual(['finished', 'rollout-progressed'])
})
