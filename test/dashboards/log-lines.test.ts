import { expect, test } from 'vitest'
import type { StepId } from '#domain/ids'
import { addLogLines, dropPreview, type LogLine } from '../../dashboards/src/log-lines.ts'

const event = (firstLine: number, text: string, unfinished?: true) => ({
  kind: 'log' as const,
  atMs: 5,
  step: 'stp_00000001' as StepId,
  stream: 'stdout' as const,
  firstLine,
  text,
  ...(unfinished ? { unfinished } : {}),
})

const texts = (lines: readonly LogLine[]) => lines.map((line) => line.text)

test('lines keep the numbers that the server gave them', () => {
  const lines: LogLine[] = []
  addLogLines(lines, event(1, 'one\ntwo\n'))
  addLogLines(lines, event(3, 'three\n'))
  expect(lines.map((line) => [line.number, line.text])).toEqual([
    [1, 'one'],
    [2, 'two'],
    [3, 'three'],
  ])
})

test('a preview is replaced by the whole line', () => {
  const lines: LogLine[] = []
  addLogLines(lines, event(1, 'Continue? [y', true))
  addLogLines(lines, event(1, 'Continue? [y/N] y\n'))
  expect(texts(lines)).toEqual(['Continue? [y/N] y'])
})

test('a preview gives its number to another line that ends first', () => {
  const lines: LogLine[] = []
  addLogLines(lines, event(1, 'Continue? [y', true))
  addLogLines(lines, event(1, 'other\n'))
  expect(texts(lines)).toEqual(['other'])
  addLogLines(lines, event(2, 'Continue? [y', true))
  expect(texts(lines)).toEqual(['other', 'Continue? [y'])
})

test('a preview never replaces a whole line', () => {
  const lines: LogLine[] = []
  addLogLines(lines, event(1, 'whole\n'))
  expect(addLogLines(lines, event(1, 'who', true))).toBe(false)
  expect(texts(lines)).toEqual(['whole'])
})

test('a preview at the end can be dropped, a whole line cannot', () => {
  const lines: LogLine[] = []
  addLogLines(lines, event(1, 'whole\n'))
  addLogLines(lines, event(2, 'half', true))
  for (let times = 0; times < 2; times++) dropPreview(lines)
  expect(texts(lines)).toEqual(['whole'])
})

test('events that come twice after a reconnect change nothing', () => {
  const lines: LogLine[] = []
  for (let times = 0; times < 2; times++) addLogLines(lines, event(1, 'one\ntwo\n'))
  expect(texts(lines)).toEqual(['one', 'two'])
})

test('an empty line is a line', () => {
  const lines: LogLine[] = []
  addLogLines(lines, event(1, 'one\n\nthree\n'))
  expect(texts(lines)).toEqual(['one', '', 'three'])
})

test.for([
  ['10%\r50%\r100%', '100%'],
  ['done\r', 'done'],
  ['plain', 'plain'],
])('carriage returns rewrite the line: %j', ([text, shown]) => {
  const lines: LogLine[] = []
  addLogLines(lines, event(1, `${text}\n`))
  expect(texts(lines)).toEqual([shown])
})
