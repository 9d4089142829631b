import { Writable } from 'node:stream'
import { expect, test } from 'vitest'
import type { Plan, SolveEvent } from '#buildkit-lite'
import { createProgress } from '../../cli/create-progress.ts'
import { describeFailure, describeWarnings } from '../../cli/describe-outcome.ts'
import type { Progress, ProgressOptions, ProgressView } from '../../cli/progress.ts'
import { createPlainView } from '../../cli/progress-plain.ts'
import { createRawView } from '../../cli/progress-rawjson.ts'

const step = (stage: string, title: string, input: number | null = null) => ({
  stage,
  title,
  line: 1,
  operation: { kind: 'workdir' as const, input, path: '/', user: '' },
})
const plan: Plan = {
  steps: [step('build', 'WORKDIR a'), step('build', 'RUN b', 0), step('stage-1', 'COPY c', 1)],
  target: {
    fileSystem: 2,
    config: { architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [] } },
    history: [],
  },
  sourceDateEpoch: null,
  warnings: [
    {
      rule: 'NoEmptyContinuation',
      message: 'Empty continuation line',
      description: 'Empty continuation lines will become errors in a future release',
      url: 'https://example.com/rule',
      file: 'Dockerfile',
      line: 3,
      lastLine: 3,
      excerpt: 'Dockerfile:3\n---',
    },
  ],
}
const output = (step: number, text: string, stream: 'stdout' | 'stderr' = 'stdout'): SolveEvent => ({
  kind: 'output',
  step,
  stream,
  bytes: Buffer.from(text),
})
const started = (step: number, missReason: string): SolveEvent => ({ kind: 'step-started', step, missReason })
const done = (step: number): SolveEvent => ({ kind: 'step-finished', step, outcome: { kind: 'done' } })
const failed = (step: number): SolveEvent => ({
  kind: 'step-finished',
  step,
  outcome: { kind: 'failed', error: 'step-failed', message: 'exit code: 1', exitCode: 1 },
})

/** Shows what `work` does to a clock that goes on by 100 ms with every event. */
async function show(
  create: (options: ProgressOptions) => ProgressView,
  work: (progress: Progress) => Promise<void>,
): Promise<{ text: string; progress: Progress }> {
  let text = ''
  const output = new Writable({
    write(chunk, _encoding, done) {
      text += String(chunk)
      done()
    },
  })
  let nowMs = Date.UTC(2030, 0, 1)
  const now = (): number => (nowMs += 100)
  const progress = createProgress(create({ output, now, colors: false }), now, new AbortController().signal)
  await work(progress)
  await progress.close()
  return { text, progress }
}

async function play(progress: Progress): Promise<void> {
  await progress.during('[internal] load build definition from Dockerfile', async (tell) => {
    await tell('reading dockerfile: 61B')
  })
  const events: SolveEvent[] = [
    { kind: 'planned', plan },
    { kind: 'step-finished', step: 0, outcome: { kind: 'cached' } },
    started(1, 'RUN command changed'),
    output(1, 'one\ntw'),
    output(1, 'oops\n', 'stderr'),
    output(1, '10%\r20%\u001b]0;title\u0007\n'),
    output(1, 'o\nend'),
    failed(1),
  ]
  for (const event of events) await progress.show(event)
}

test('plain progress has whole lines, each with its step, and nothing that a terminal obeys', async () => {
  const { text } = await show(createPlainView, play)
  expect(text.replace(/ \d\.\d00 /g, ' TIME ').split('\n')).toEqual([
    '#1 [internal] load build definition from Dockerfile',
    '#1 reading dockerfile: 61B done',
    expect.stringMatching(/^#1 DONE 0\.\ds$/),
    '',
    '#1 [internal] load build definition from Dockerfile',
    '#1 WARN: NoEmptyContinuation: Empty continuation line (line 3)',
    '',
    '#2 [build 1/2] WORKDIR a',
    '#2 CACHED',
    '',
    '#3 [build 2/2] RUN b',
    '#3 not cached: RUN command changed',
    '#3 TIME one',
    '#3 TIME oops',
    '#3 TIME 20%',
    '#3 TIME o',
    '#3 TIME end',
    '#3 ERROR: exit code: 1',
    '',
    '',
  ])
})

test('steps side by side are shown one after the other, or in turns where one is quiet', async () => {
  const { text } = await show(createPlainView, async (progress) => {
    await progress.show({ kind: 'planned', plan: { ...plan, warnings: [] } })
    await progress.show(started(0, 'x'))
    await progress.show(started(1, 'y'))
    await progress.show(output(0, 'a1\n'))
    await progress.show(output(1, 'b1\n'))
    await progress.show(output(0, 'a2\n'))
    for (const text of ['b2', 'b3', 'b4', 'b5']) await progress.show(output(1, `${text}\n`))
    await progress.show(done(0))
    await progress.show(done(1))
  })
  expect(
    text
      .replace(/(#\d) \d+\.\d+/g, '$1 TIME')
      .replace(/DONE \d\.\ds/g, 'DONE')
      .split('\n'),
  ).toEqual([
    '#1 [build 1/2] WORKDIR a',
    '#1 not cached: x',
    '#1 TIME a1',
    '#1 TIME a2',
    '#1 ...',
    '',
    '#2 [build 2/2] RUN b',
    '#2 not cached: y',
    '#2 TIME b1',
    '#2 TIME b2',
    '#2 TIME b3',
    '#2 TIME b4',
    '#2 TIME b5',
    '#2 DONE',
    '',
    '#1 [build 1/2] WORKDIR a',
    '#1 DONE',
    '',
    '',
  ])
})

test('vertices of several platforms are told apart', async () => {
  const { text, progress } = await show(createPlainView, async (progress) => {
    for (const platform of ['linux/amd64', 'linux/arm64']) {
      await progress.show({ kind: 'planned', plan }, platform)
      await progress.show(done(1), platform)
    }
  })
  expect(text).toContain('[linux/amd64 build 2/2] RUN b')
  expect(text).toContain('[linux/arm64 build 2/2] RUN b')
  expect(progress.warnings).toHaveLength(1)
})

interface Status {
  vertexes?: { digest: string; name: string; inputs?: string[]; started?: string; completed?: string; error?: string }[]
  statuses?: { id: string; vertex: string; started: string; completed: string }[]
  logs?: { vertex: string; stream: number; data: string; timestamp: string }[]
  warnings?: { vertex: string; level: number; short: string; detail: string[]; url: string; range: object[] }[]
}

test('raw progress is one object a line', async () => {
  const { text } = await show(createRawView, play)
  const statuses = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Status)
  for (const status of statuses) {
    const kinds = Object.keys(status)
    expect(['vertexes', 'statuses', 'logs', 'warnings']).toEqual(expect.arrayContaining(kinds))
  }
  const vertices = statuses.flatMap((status) => status.vertexes ?? [])
  const run = vertices.filter(({ name }) => name === '[build 2/2] RUN b')
  const workdir = vertices.find(({ name }) => name === '[build 1/2] WORKDIR a')
  expect(run.map((vertex) => [vertex.started !== undefined, vertex.completed !== undefined, vertex.error])).toEqual([
    [false, false, undefined],
    [true, false, undefined],
    [true, true, 'exit code: 1'],
  ])
  expect(run[0]?.inputs).toEqual([workdir?.digest])
  expect(vertices.filter(({ name }) => name === '[build 1/2] WORKDIR a').at(-1)).toMatchObject({ cached: true })
  for (const { digest, started = '2030-01-01T00:00:00.000Z' } of vertices) {
    expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/)
    expect(started).toMatch(/^2030-01-01T00:00:\d\d\.\d{3}Z$/)
  }
  const logs = statuses.flatMap((status) => status.logs ?? [])
  expect(logs.map((log) => [log.stream, Buffer.from(log.data, 'base64').toString()])).toEqual([
    [1, 'one\ntw'],
    [2, 'oops\n'],
    [1, '10%\r20%\u001b]0;title\u0007\n'],
    [1, 'o\nend'],
  ])
  const [warning] = statuses.flatMap((status) => status.warnings ?? [])
  expect(Buffer.from(warning?.short ?? '', 'base64').toString()).toBe(
    'NoEmptyContinuation: Empty continuation line (line 3)',
  )
  expect(warning).toMatchObject({ level: 1, url: 'https://example.com/rule', range: [{ start: { line: 3 } }] })
})

test('a failure shows the last lines of the step that failed, and warnings are counted', async () => {
  const { progress } = await show(createPlainView, async (progress) => {
    await progress.show({ kind: 'planned', plan })
    await progress.show(started(1, 'x'))
    await progress.show(output(1, Array.from({ length: 5000 }, (_, index) => `line ${index}\n`).join('')))
    await progress.show(failed(1))
  })
  const lines = describeFailure(new Error('no luck'), progress.failures).split('\n')
  expect(lines.slice(0, 3)).toEqual(['------', ' > [build 2/2] RUN b:', expect.stringMatching(/^\d\.\d{3} line 4990$/)])
  expect(lines.slice(-4)).toEqual([
    expect.stringMatching(/^\d\.\d{3} line 4999$/),
    '------',
    'ERROR: failed to build: failed to solve: no luck',
    '',
  ])
  expect(describeWarnings(progress.warnings, false)).toBe(
    '\n 1 warning found (use --debug to expand):\n - NoEmptyContinuation: Empty continuation line (line 3)\n',
  )
  expect(describeWarnings(progress.warnings, true)).toContain('More info: https://example.com/rule\nDockerfile:3\n---')
})

test('work beside the plan that fails is an error of its own', async () => {
  const { text, progress } = await show(createPlainView, async (progress) => {
    await expect(progress.during('pushing', () => Promise.reject(new Error('denied')))).rejects.toThrow('denied')
  })
  expect(text).toContain('#1 ERROR: denied\n')
  expect(progress.failures).toEqual([{ name: 'pushing', lines: [] }])
})
