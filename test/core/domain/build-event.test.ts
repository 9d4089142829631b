import { expect, test } from 'vitest'
import { Build, warningLine } from '#domain/build'
import { applyBuildEvent, BuildEvent, lastLine } from '#domain/build-event'

const order = {
  id: 'bld_000000001',
  project: 'acme/web',
  number: 1,
  trigger: 'push',
  ref: 'refs/heads/main',
  commit: 'a'.repeat(40),
  message: null,
  author: null,
  rule: 0,
  tags: ['latest'],
  dockerfile: 'Dockerfile',
  context: '/',
  target: null,
  buildArgs: {},
  useCache: true,
  push: true,
  deploy: [],
}
const stepA = { id: 'stp_00000001', stage: 'web', title: 'RUN a', line: 2 }
const stepB = { id: 'stp_00000002', stage: 'web', title: 'RUN b', line: 3 }
const worker = 'wrk_00000001'
const digest = `sha256:${'b'.repeat(64)}`

/** Folds events as they would come out of the store: parsed, in order, a millisecond apart. */
function fold(...events: object[]): Build {
  const all = [{ kind: 'queued', order }, ...events].map((event, index) =>
    BuildEvent.parse({ atMs: 1000 + index, ...event }),
  )
  return all.reduce<Build>((build, event) => applyBuildEvent(build, event), undefined as unknown as Build)
}

const started = { kind: 'started', attempt: 1, worker }
const planned = { kind: 'planned', steps: [stepA, stepB] }

test('a build begins queued', () => {
  expect(fold()).toMatchObject({
    status: 'queued',
    queuedAtMs: 1000,
    attempt: 0,
    steps: [],
    waitingFor: 'a free worker',
  })
})

test('a build that runs through', () => {
  const build = fold(
    started,
    planned,
    { kind: 'step-finished', step: stepA.id, status: 'succeeded', cached: true, exitCode: null },
    { kind: 'step-started', step: stepB.id, missReason: 'RUN command changed' },
    { kind: 'log', step: stepB.id, stream: 'stdout', firstLine: 1, text: 'one\ntwo\n' },
    { kind: 'step-finished', step: stepB.id, status: 'succeeded', cached: false, exitCode: 0 },
    { kind: 'image-ready', name: 'host/acme/web', digest, sizeBytes: 5 },
    { kind: 'pushed', name: 'host/acme/web', digest, tags: ['latest'] },
    { kind: 'finished', status: 'succeeded', error: null },
  )
  expect(build).toMatchObject({
    status: 'succeeded',
    waitingFor: null,
    startedAtMs: 1001,
    finishedAtMs: 1009,
    logLines: 2,
    image: { digest },
  })
  expect(build.steps).toMatchObject([
    { status: 'succeeded', cached: true, startedAtMs: 1003, finishedAtMs: 1003 },
    {
      status: 'succeeded',
      cached: false,
      missReason: 'RUN command changed',
      startedAtMs: 1004,
      finishedAtMs: 1006,
      exitCode: 0,
    },
  ])
})

test('a lost worker gives the build back, and the next attempt begins its steps anew but not its line numbers', () => {
  const lost = [
    started,
    planned,
    { kind: 'step-started', step: stepA.id, missReason: null },
    { kind: 'log', step: stepA.id, stream: 'stdout', firstLine: 1, text: 'one\n' },
    { kind: 'worker-lost', attempt: 1, reason: 'it stopped answering' },
  ]
  expect(fold(...lost)).toMatchObject({
    status: 'queued',
    worker: null,
    waitingFor: expect.stringContaining('it stopped answering'),
  })
  const again = fold(...lost, { kind: 'started', attempt: 2, worker })
  expect(again).toMatchObject({ status: 'running', attempt: 2, steps: [], logLines: 1 })
})

test('warnings are those of the newest attempt', () => {
  const warning = {
    rule: 'StageNameCasing',
    message: "Stage name 'Web' should be lowercase",
    description: 'Stage names should be lowercase',
    url: 'https://docs.docker.com/go/dockerfile/rule/stage-name-casing/',
    file: 'Dockerfile',
    line: 1,
    lastLine: 1,
    excerpt: '   1 | >>> FROM base AS Web',
  }
  const warned = [started, planned, { kind: 'warnings', warnings: [warning] }]
  expect(fold(...warned).warnings).toEqual([warning])
  expect(warningLine(warning)).toBe("Warning: StageNameCasing: Stage name 'Web' should be lowercase (line 1)")
  expect(fold(...warned, { kind: 'started', attempt: 2, worker }).warnings).toEqual([])
})

test('a record from before there were warnings has none', () => {
  const { warnings: _warnings, ...old } = fold(started)
  expect(Build.parse(old).warnings).toEqual([])
})

test('a failure keeps its place', () => {
  const error = { kind: 'step-failed', message: 'exit code: 7', file: 'Dockerfile', line: 2, excerpt: '>>> RUN' }
  expect(fold(started, { kind: 'finished', status: 'failed', error })).toMatchObject({ status: 'failed', error })
})

test('a rollout is named once, also after the end', () => {
  const requested = { kind: 'rollout-requested', rollout: 'rol_00000001', target: 'default/web' }
  const build = fold(started, requested, { kind: 'finished', status: 'succeeded', error: null }, requested, {
    kind: 'rollout-progressed',
    rollout: 'rol_00000001',
    status: 'succeeded',
    message: 'live',
  })
  expect(build).toMatchObject({ status: 'succeeded', rollouts: ['rol_00000001'] })
})

test('a preview of a line is no line', () => {
  expect(
    fold(started, { kind: 'log', step: null, stream: 'stdout', firstLine: 1, text: '10%\n', unfinished: true })
      .logLines,
  ).toBe(0)
})

test.for([
  [1, 'a\n', 1],
  [5, 'a\nb\nc\n', 7],
  [3, '\n\n', 4],
] as const)('text at line %i %j ends on line %i', ([first, text, last]) => {
  expect(lastLine(first, text)).toBe(last)
})
