import { expect, test } from 'vitest'
import type { BuildStep } from '#domain/build'
import type { StepId } from '#domain/ids'
import type { LogLine } from '../../dashboards/src/log-lines.ts'
import { headSteps } from '../../dashboards/src/log-rows.ts'

const step = (id: string, title: string): BuildStep => ({
  id: id as StepId,
  stage: 'web',
  title,
  line: 1,
  status: 'running',
  cached: false,
  missReason: null,
  startedAtMs: null,
  finishedAtMs: null,
  exitCode: null,
})
const line = (number: number, of: string | null): LogLine => ({
  number,
  step: of,
  stream: 'stdout',
  text: `${number}`,
  atMs: 0,
})
const steps = [step('stp_a', 'RUN a'), step('stp_b', 'RUN b')]

const shown = (lines: readonly LogLine[]) =>
  headSteps(lines, steps).rows.map((row) => (row.kind === 'line' ? row.line.number : row.title))

test('a step’s lines stand below its title', () => {
  expect(shown([line(1, 'stp_a'), line(2, 'stp_a'), line(3, 'stp_b')])).toEqual(['web: RUN a', 1, 2, 'web: RUN b', 3])
})

test('steps that take turns are named at each turn', () => {
  expect(shown([line(1, 'stp_a'), line(2, 'stp_b'), line(3, 'stp_a')])).toEqual([
    'web: RUN a',
    1,
    'web: RUN b',
    2,
    'web: RUN a',
    3,
  ])
})

test('lines of no step end none', () => {
  expect(shown([line(1, 'stp_a'), line(2, null), line(3, 'stp_a')])).toEqual(['web: RUN a', 1, 2, 3])
})

test('a line is found below its heading', () => {
  const { rows, rowOf } = headSteps([line(1, 'stp_a'), line(2, 'stp_b')], steps)
  expect(rows[rowOf(2)]).toEqual({ kind: 'line', line: line(2, 'stp_b') })
})
