import stringWidth from 'string-width'
import { type ProgressOptions, type ProgressView, statusText, type Vertex, type VertexEvent } from './progress.ts'
import { type Row, renderFrame, TAIL_ROWS } from './progress-frame.ts'

/** No more than 20 pictures a second. */
const FRAME_MS = 50
/** While something runs its time goes on. */
const TICK_MS = 100
const MAX_STATUSES = 8
const HIDE_CURSOR = '\u001b[?25l'
const SHOW_CURSOR = '\u001b[?25h'
/** Terminals that know these show a picture only when it is whole; others pass over them. */
const BEGIN_FRAME = '\u001b[?2026h'
const END_FRAME = '\u001b[?2026l'

/** A picture of the build that is drawn over and over on a terminal. */
export function createTerminalView(options: ProgressOptions): ProgressView {
  return new TerminalView(options)
}

interface LiveRow extends Row {
  statuses: string[]
  /** What each status is of. */
  subjects: string[]
  printed: string[]
  rest: string
}

class TerminalView implements ProgressView {
  readonly #options: ProgressOptions
  readonly #startedAtMs: number
  readonly #rows = new Map<Vertex, LiveRow>()
  readonly #planned = new Set<Vertex>()
  /** What stands on the screen now, line by line. */
  #drawn: string[] = []
  #drawnAtMs = Number.NEGATIVE_INFINITY
  #timer: NodeJS.Timeout | null = null
  #closed = false
  readonly #onResize = (): void => this.#schedule(FRAME_MS)
  readonly #onExit = (): void => void this.#options.output.write(SHOW_CURSOR)

  constructor(options: ProgressOptions) {
    this.#options = options
    this.#startedAtMs = options.now()
    options.output.on('resize', this.#onResize)
    process.on('exit', this.#onExit)
    options.output.write(HIDE_CURSOR)
  }

  async draw(event: VertexEvent): Promise<void> {
    if (this.#closed) return
    this.#apply(event)
    this.#schedule(Math.max(0, FRAME_MS - (this.#options.now() - this.#drawnAtMs)))
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    if (this.#timer) clearTimeout(this.#timer)
    this.#paint(true)
    this.#options.output.write(SHOW_CURSOR)
    this.#options.output.removeListener('resize', this.#onResize)
    process.removeListener('exit', this.#onExit)
  }

  #apply(event: VertexEvent): void {
    if (event.kind === 'planned') {
      for (const vertex of event.vertices) this.#planned.add(vertex)
      return
    }
    if (event.kind === 'warned') return
    const row = this.#rowOf(event.vertex, event.atMs)
    switch (event.kind) {
      case 'started':
        row.startedAtMs = event.atMs
        if (event.missReason !== null) addStatus(row, 'not cached', `not cached: ${event.missReason}`)
        return
      case 'status':
        return addStatus(
          row,
          event.amount === null ? subjectOf(event.text) : event.text,
          statusText(event.text, event.amount),
        )
      case 'output':
        row.printed = [...row.printed, ...event.lines.slice(-TAIL_ROWS)].slice(-TAIL_ROWS)
        row.rest = event.rest
        row.tail = row.rest === '' ? row.printed : [...row.printed, row.rest].slice(-TAIL_ROWS)
        return
      case 'ended':
        row.state = event.ending.kind
        row.endedAtMs = event.atMs
        row.tail = []
        row.printed = []
        return
      default:
        event satisfies never
    }
  }

  #rowOf(vertex: Vertex, atMs: number): LiveRow {
    const known = this.#rows.get(vertex)
    if (known) return known
    const startedAtMs = vertex.startedAtMs ?? atMs
    const row: LiveRow = {
      vertex,
      state: 'running',
      startedAtMs,
      endedAtMs: null,
      statuses: [],
      subjects: [],
      tail: [],
      printed: [],
      rest: '',
    }
    this.#rows.set(vertex, row)
    return row
  }

  #schedule(inMs: number): void {
    if (this.#closed || this.#timer) return
    if (inMs === 0) return this.#redraw()
    this.#timer = setTimeout(() => {
      this.#timer = null
      this.#redraw()
    }, inMs)
    this.#timer.unref()
  }

  #redraw(): void {
    // A terminal that is slow gets fewer pictures, not more of them at once.
    const { output } = this.#options
    if (!('writableNeedDrain' in output && output.writableNeedDrain)) this.#paint(false)
    if ([...this.#rows.values()].some((row) => row.endedAtMs === null)) this.#schedule(TICK_MS)
  }

  #paint(isFinished: boolean): void {
    const { output, now, colors } = this.#options
    const width = Math.max(1, output.columns || 80)
    const height = isFinished ? null : Math.max(2, (output.rows || 24) - 1)
    const rows = [...this.#rows.values()]
    const beside = rows.filter((row) => !this.#planned.has(row.vertex)).length
    const screen = { rows, total: this.#planned.size + beside, startedAtMs: this.#startedAtMs, isFinished }
    const lines = rows.length === 0 ? [] : renderFrame(screen, { width, height }, now(), colors)
    output.write(BEGIN_FRAME + this.#eraseDrawn(width) + lines.map((line) => `${line}\n`).join('') + END_FRAME)
    this.#drawn = lines
    this.#drawnAtMs = now()
  }

  /** Goes back to where the last picture began; a narrower terminal has broken its lines in two. */
  #eraseDrawn(width: number): string {
    const height = this.#drawn.reduce((sum, line) => sum + Math.max(1, Math.ceil(stringWidth(line) / width)), 0)
    return `\r${height > 0 ? `\u001b[${height}A` : ''}\u001b[J`
  }
}

/** A status takes the place of the last one of the same subject. */
function addStatus({ statuses, subjects }: LiveRow, subject: string, text: string): void {
  const at = subjects.indexOf(subject)
  if (at >= 0) statuses[at] = text
  else {
    statuses.push(text)
    subjects.push(subject)
  }
  statuses.splice(0, statuses.length - MAX_STATUSES)
  subjects.splice(0, subjects.length - MAX_STATUSES)
}

function subjectOf(text: string): string {
  const colon = text.indexOf(': ')
  return colon < 0 ? text : text.slice(0, colon)
}
