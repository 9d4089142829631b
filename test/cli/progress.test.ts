import { Writable } from 'node:stream'
import { expect, test } from 'vitest'
import type { Plan, SolveEvent } from '#buildkit-lite'
import { createPlainProgress } from '../../cli/progress-plain.ts'
import { createRawProgress } from '../../cli/progress-rawjson.ts'

const step = (stage: string, title: string) => ({
  stage,
  title,
  line: 1,
  operation: { kind: 'workdir' as const, input: null, path: '/', user: '' },
})
const plan: Plan = {
  steps: [step('build', 'FROM a'), step('build', 'RUN b'), step('stage-1', 'COPY c')],
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
      url: '',
      file: 'Dockerfile',
      line: 3,
      lastLine: 3,
      excerpt: '',
    },
  ],
}
const events: SolveEvent[] = [
  { kind: 'planned', plan },
  { kind: 'step-finished', step: 0, outcome: { kind: 'cached' } },
  { kind: 'step-started', step: 1, missReason: 'RUN command changed' },
  { kind: 'output', step: 1, stream: 'stdout', bytes: Buffer.from('one\ntw') },
  { kind: 'output', step: 1, stream: 'stderr', bytes: Buffer.from('oops\n') },
  { kind: 'output', step: 1, stream: 'stdout', bytes: Buffer.from('o\nend') },
  {
    kind: 'step-finished',
    step: 1,
    outcome: { kind: 'failed', error: 'step-failed', message: 'exit code: 1', exitCode: 1 },
  },
]

async function show(create: typeof createPlainProgress): Promise<string> {
  let text = ''
  const output = new Writable({
    write(chunk, _encoding, done) {
      text += String(chunk)
      done()
    },
  })
  let nowMs = 0
  const progress = create({ form: 'plain', output, now: () => (nowMs += 100) })
  for (const event of events) await progress.show(event)
  return text
}

test('plain progress has whole lines, each with its step', async () => {
  expect((await show(createPlainProgress)).split('\n')).toEqual([
    'WARNING: odd (line 3)',
    '#1 [build 1/2] FROM a',
    '#1 CACHED',
    '',
    '#2 [build 2/2] RUN b',
    '#2 not cached: RUN command changed',
    expect.stringMatching(/^#2 0\.\d00 one$/),
    expect.stringMatching(/^#2 0\.\d00 oops$/),
    expect.stringMatching(/^#2 0\.\d00 two$/),
    expect.stringMatching(/^#2 0\.\d00 end$/),
    '#2 ERROR: exit code: 1',
    '',
    '',
  ])
})

test('raw progress is one object a line', async () => {
  const lines = (await show(createRawProgress)).trim().split('\n')
  const statuses = lines.map((line) => JSON.parse(line))
  expect(statuses[0].vertexes[0]).toMatchObject({ name: '[build 1/2] FROM a', cached: true })
  expect(
    statuses.flatMap((status) => status.logs ?? []).map((log) => Buffer.from(log.data, 'base64').toString()),
  ).toEqual(['one\ntw', 'oops\n', 'o\nend'])
  expect(statuses.at(-1).vertexes[0]).toMatchObject({ name: '[build 2/2] RUN b', error: 'exit code: 1' })
})
