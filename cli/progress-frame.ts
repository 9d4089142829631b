import pc from 'picocolors'
import sliceAnsi from 'slice-ansi'
import stringWidth from 'string-width'
import type { Vertex } from './progress.ts'
import { displayLine } from './terminal-text.ts'

/** One vertex on the screen. */
export interface Row {
  vertex: Vertex
  state: 'running' | 'cached' | 'done' | 'failed' | 'cancelled'
  startedAtMs: number
  /** Null while it runs. */
  endedAtMs: number | null
  statuses: readonly string[]
  /** The last lines that it printed, and the one that has not ended. */
  tail: readonly string[]
}

export interface Screen {
  rows: readonly Row[]
  /** How many vertices there will be, as far as is known. */
  total: number
  startedAtMs: number
  isFinished: boolean
}

export interface FrameSize {
  width: number
  /** Lines that may be used; null for as many as there are. */
  height: number | null
}

/** A running step shows at most so many lines of what it prints. */
export const TAIL_ROWS = 6

/** The lines of a picture of the build: a header, a line for each step, and what running ones say. */
export function renderFrame(screen: Screen, size: FrameSize, nowMs: number, colors: boolean): string[] {
  const painter = new Painter(size.width, nowMs, colors)
  const ended = screen.rows.filter((row) => row.endedAtMs !== null).length
  const finished = screen.isFinished ? ' FINISHED' : ''
  const seconds = ((nowMs - screen.startedAtMs) / 1000).toFixed(1)
  const header = `[+] Building ${seconds}s (${ended}/${Math.max(screen.total, screen.rows.length)})${finished}`
  const room = size.height === null ? Number.POSITIVE_INFINITY : Math.max(1, size.height - 1)
  return [painter.cut(header, size.width), ...renderRows(screen, room, painter)]
}

/** Where room is short, running steps say less first, then steps that ended become one line, the oldest first. */
function renderRows({ rows, isFinished }: Screen, room: number, painter: Painter): string[] {
  const shown = rows.length > room ? collapse(rows, room) : { folded: [], rows, hidden: 0 }
  const heads = shown.rows.length + (shown.folded.length > 0 ? 1 : 0) + (shown.hidden > 0 ? 1 : 0)
  const running = shown.rows.filter((row) => row.state === 'running')
  let left = room - heads
  const statuses = new Map<Row, readonly string[]>()
  for (const row of [...running, ...shown.rows.filter((row) => row.state !== 'running')]) {
    const fitting = row.statuses.slice(-Math.max(0, Math.min(left, row.statuses.length)) || row.statuses.length)
    if (left <= 0) continue
    statuses.set(row, fitting)
    left -= fitting.length
  }
  const tailRows =
    isFinished || running.length === 0 ? 0 : Math.min(TAIL_ROWS, Math.floor(Math.max(0, left) / running.length))
  return [
    ...(shown.folded.length > 0 ? [painter.folded(shown.folded)] : []),
    ...shown.rows.flatMap((row) => [
      painter.head(row),
      ...(statuses.get(row) ?? []).map((text) => painter.status(row, text)),
      ...(row.state === 'running' && tailRows > 0 ? row.tail.slice(-tailRows).map((line) => painter.tail(line)) : []),
    ]),
    ...(shown.hidden > 0 ? [painter.hidden(shown.hidden)] : []),
  ]
}

function collapse(rows: readonly Row[], room: number): { folded: Row[]; rows: Row[]; hidden: number } {
  const kept: Row[] = []
  const folded: Row[] = []
  let surplus = rows.length - room + 1
  for (const row of rows) {
    const mayFold = row.state === 'cached' || row.state === 'done'
    if (surplus > 0 && mayFold) {
      folded.push(row)
      surplus -= 1
    } else kept.push(row)
  }
  if (surplus <= 0) return { folded, rows: kept, hidden: 0 }
  const fits = Math.max(0, room - (folded.length > 0 ? 2 : 1))
  return { folded, rows: kept.slice(0, fits), hidden: kept.length - fits }
}

class Painter {
  readonly #width: number
  readonly #nowMs: number
  readonly #withColors: boolean
  readonly #colors: ReturnType<typeof pc.createColors>

  constructor(width: number, nowMs: number, colors: boolean) {
    this.#width = width
    this.#nowMs = nowMs
    this.#withColors = colors
    this.#colors = pc.createColors(colors)
  }

  head(row: Row): string {
    const words: Partial<Record<Row['state'], string>> = { cached: 'CACHED ', failed: 'ERROR ', cancelled: 'CANCELED ' }
    const text = ` => ${words[row.state] ?? ''}${displayLine(row.vertex.name, false)}`
    return this.#paint(row, this.#timed(text, row))
  }

  status(row: Row, text: string): string {
    const line = this.cut(` => => ${displayLine(text, false)}`, this.#width)
    return row.state === 'running' ? this.#colors.dim(line) : this.#paint(row, line)
  }

  tail(line: string): string {
    return this.cut(` => => # ${displayLine(line, this.#withColors)}`, this.#width)
  }

  folded(rows: readonly Row[]): string {
    const cached = rows.filter((row) => row.state === 'cached').length
    const steps = `${rows.length} ${rows.length === 1 ? 'step' : 'steps'} done`
    return this.#colors.blue(this.cut(` => (${steps}${cached > 0 ? `, ${cached} of them cached` : ''})`, this.#width))
  }

  hidden(count: number): string {
    return this.cut(` => (${count} more)`, this.#width)
  }

  cut(text: string, width: number): string {
    if (stringWidth(text) <= width) return text
    if (width <= 3) return sliceAnsi(text, 0, Math.max(0, width))
    return `${sliceAnsi(text, 0, width - 3)}...`
  }

  /** The time stands at the right edge, where there is room for both. */
  #timed(text: string, row: Row): string {
    const time = `${(((row.endedAtMs ?? this.#nowMs) - row.startedAtMs) / 1000).toFixed(1)}s`
    const room = this.#width - time.length - 1
    if (room < 8) return this.cut(text, this.#width)
    const cut = this.cut(text, room)
    return `${cut}${' '.repeat(Math.max(0, room - stringWidth(cut)))} ${time}`
  }

  #paint(row: Row, text: string): string {
    switch (row.state) {
      case 'running':
        return text
      case 'cached':
      case 'done':
        return this.#colors.blue(text)
      case 'failed':
        return this.#colors.red(text)
      case 'cancelled':
        return this.#colors.yellow(text)
      default:
        return row.state satisfies never
    }
  }
}
