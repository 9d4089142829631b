import { expect, test } from 'vitest'
import { Build, warningLine } from '#domain/build'
import { type BuildEvent, newBuild } from '#domain/build-event'
import { StepId } from '#domain/ids'
import { BuildNarrator } from '../../../api/git/narrate-build.ts'

const build = newBuild(
  Build.parse({
    id: 'bld_00000001',
    project: 'acme/web',
    number: 7,
    trigger: 'push',
    ref: 'refs/heads/main',
    commit: '1'.repeat(40),
    message: null,
    author: null,
    rule: 0,
    tags: [],
    dockerfile: 'Dockerfile',
    context: '/',
    target: null,
    buildArgs: {},
    useCache: true,
    push: true,
    deploy: [],
    status: 'queued',
    attempt: 0,
    worker: null,
    image: null,
    steps: [],
    queuedAtMs: 0,
    startedAtMs: null,
    finishedAtMs: null,
    waitingFor: null,
    rollouts: [],
    error: null,
    logLines: 0,
  }),
  1000,
)
const step = StepId.parse('stp_00000001')
const planned: BuildEvent = {
  kind: 'planned',
  atMs: 1,
  steps: [{ id: step, stage: 'main', title: 'RUN a &&\n  b', line: 2 }],
}
const log = (text: string): BuildEvent => ({ kind: 'log', atMs: 1, step, stream: 'stdout', firstLine: 1, text })
const warning = {
  rule: 'StageNameCasing',
  message: "Stage name 'Web' should be lowercase",
  description: 'Stage names should be lowercase',
  url: 'https://docs.example/stage-name-casing/',
  file: 'Dockerfile',
  line: 1,
  lastLine: 1,
  excerpt: 'Dockerfile:1\n   1 | >>> FROM base AS Web',
}
const ended = { kind: 'step-finished', atMs: 1, step } as const

test.for<[string, BuildEvent, string[]]>([
  ['a step', { kind: 'step-started', atMs: 1, step, missReason: null }, ['RUN a && b']],
  ['a cached step', { ...ended, status: 'succeeded', cached: true, exitCode: null }, ['CACHED RUN a && b']],
  ['a failed step', { ...ended, status: 'failed', cached: false, exitCode: 7 }, ['failed: RUN a && b (exit code 7)']],
  ['output', log('one\n\ntwo\n'), ['  one', '  ', '  two']],
  ['a progress bar', log('10%\r50%\r100%\r\n'), ['  100%']],
  [
    'colours, titles, clipboard',
    log('\u001b[31mred\u001b]0;x\u0007\u001b]52;c;aGk=\u0007 \u0008\u009b2Jend\n'),
    ['  red end'],
  ],
  ['a preview of a line', { ...log('half'), unfinished: true } as BuildEvent, []],
  [
    'the end of a bad Dockerfile',
    {
      kind: 'finished',
      atMs: 3500,
      status: 'failed',
      error: {
        kind: 'dockerfile-invalid',
        message: 'Unknown instruction RUNN',
        line: 2,
        excerpt: '> 2 | RUNN x\n  3 | y',
      },
    },
    ['dockerfile-invalid: Unknown instruction RUNN', '> 2 | RUNN x', '  3 | y', 'failed in 2.5 s: URL'],
  ],
  [
    'warnings',
    { kind: 'warnings', atMs: 1, warnings: [warning] },
    [
      'WARNING: StageNameCasing - https://docs.example/stage-name-casing/',
      "Stage name 'Web' should be lowercase",
      'Dockerfile:1',
      '   1 | >>> FROM base AS Web',
    ],
  ],
])('%s', ([, event, lines]) => {
  const narrator = new BuildNarrator(build, 'URL')
  narrator.tell(planned)
  expect(narrator.tell(event)).toEqual(lines.map((line) => `[build 7] ${line}`))
})

test('what the log says again of a warning is not told twice', () => {
  const narrator = new BuildNarrator(build, 'URL')
  narrator.tell({ kind: 'warnings', atMs: 1, warnings: [warning] })
  const text = `${warningLine(warning)}\nWarning: another (line 1)\n`
  const again: BuildEvent = { kind: 'log', atMs: 1, step: null, stream: 'system', firstLine: 1, text }
  expect(narrator.tell(again)).toEqual(['[build 7]   Warning: another (line 1)'])
})
