import type { BuildStep } from '#domain/build'
import type { LogLine } from './log-lines.ts'

/** A row of the log: a line, or the heading above the first of a step's lines that follow one another. */
export type LogRow = { kind: 'line'; line: LogLine } | { kind: 'heading'; title: string }

export interface LogRows {
  rows: readonly LogRow[]
  /** Index of the row that shows the line of this number. */
  rowOf: (lineNumber: number) => number
}

/** Puts a heading wherever the log goes on with another step. */
export function headSteps(lines: readonly LogLine[], steps: readonly BuildStep[]): LogRows {
  const titles = new Map<string, string>(steps.map((step) => [step.id, `${step.stage}: ${step.title}`]))
  const rows: LogRow[] = []
  const rowOfLine: number[] = []
  let step: string | null = null
  for (const line of lines) {
    // A line that has not come yet, because the stream was resumed in its midst.
    if (!line) continue
    if (line.step !== null && line.step !== step)
      rows.push({ kind: 'heading', title: titles.get(line.step) ?? line.step })
    step = line.step ?? step
    rowOfLine[line.number] = rows.length
    rows.push({ kind: 'line', line })
  }
  return { rows, rowOf: (lineNumber) => rowOfLine[lineNumber] ?? Math.max(0, rows.length - 1) }
}
