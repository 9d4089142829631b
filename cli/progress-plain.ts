import pc from 'picocolors'
import {
  type Amount,
  type Ending,
  type ProgressOptions,
  type ProgressView,
  statusText,
  type Vertex,
  type VertexEvent,
  write,
} from './progress.ts'
import { cleanLine } from './terminal-text.ts'

/** What is shown goes on being shown until it is quiet for so long, while others wait. */
const QUIET_MS = 1000
/** So much is held back of those that wait. */
const MAX_HELD = 64 * 1024

/** The log that users of other builders know: `#5 [build 2/4] RUN …`, `#5 0.123 output`, `#5 DONE 0.4s`. */
export function createPlainView(options: ProgressOptions): ProgressView {
  return new PlainLog(options)
}

interface Log {
  number: number
  vertex: Vertex
  held: string[]
  heldLength: number
  ended: boolean
}

class PlainLog implements ProgressView {
  readonly #output: ProgressOptions['output']
  readonly #now: () => number
  readonly #colors: ReturnType<typeof pc.createColors>
  /** Of vertices that have not ended, or wait to be shown. */
  readonly #logs = new Map<Vertex, Log>()
  readonly #numbers = new WeakMap<Vertex, number>()
  #shown: Log | null = null
  #shownAtMs = 0
  #count = 0
  #timer: NodeJS.Timeout | null = null

  constructor({ output, now, colors }: ProgressOptions) {
    this.#output = output
    this.#now = now
    this.#colors = pc.createColors(colors)
  }

  async draw(event: VertexEvent): Promise<void> {
    if (event.kind === 'planned') return
    const log = this.#logs.get(event.vertex) ?? this.#begin(event.vertex)
    const lines = this.#linesOf(event)
    log.held.push(...lines)
    log.heldLength += lines.reduce((sum, line) => sum + line.length, 0)
    if (event.kind === 'ended' || event.kind === 'warned') log.ended = true
    await this.#advance(log)
  }

  async close(): Promise<void> {
    if (this.#timer) clearTimeout(this.#timer)
    for (const log of this.#logs.values()) await this.#turnTo(log)
  }

  #begin(vertex: Vertex): Log {
    const log: Log = { number: this.#numbers.get(vertex) ?? 0, vertex, held: [], heldLength: 0, ended: false }
    this.#logs.set(vertex, log)
    return log
  }

  #linesOf(event: Exclude<VertexEvent, { kind: 'planned' }>): string[] {
    const { vertex, atMs } = event
    const seconds = (atMs - (vertex.startedAtMs ?? atMs)) / 1000
    switch (event.kind) {
      case 'started':
        return event.missReason === null ? [] : [this.#colors.dim(`not cached: ${event.missReason}`)]
      case 'status':
        return isUnderWay(event.amount) ? [] : [`${statusText(event.text, event.amount)} done`]
      case 'output':
        return event.lines.map((line) => `${seconds.toFixed(3)} ${cleanLine(line)}`)
      case 'warned':
        return event.warnings.map(({ rule, message, line }) =>
          this.#colors.yellow(`WARN: ${rule}: ${message} (line ${line})`),
        )
      case 'ended':
        return [endingOf(event.ending, seconds, this.#colors)]
      default:
        return event satisfies never
    }
  }

  /** Shows what has come to a log, or keeps it until it is that one's turn. */
  async #advance(log: Log): Promise<void> {
    const mayTurn = this.#shown === null || this.#shown === log || this.#shown.ended || log.heldLength > MAX_HELD
    if (mayTurn || this.#now() - this.#shownAtMs > QUIET_MS) await this.#turnTo(log)
    if (this.#shown?.ended) await this.#showWaiting()
    this.#watch()
  }

  async #showWaiting(): Promise<void> {
    for (const log of this.#logs.values()) {
      if (log.held.length > 0) await this.#turnTo(log)
      if (this.#shown && !this.#shown.ended) return
    }
  }

  async #turnTo(log: Log): Promise<void> {
    const isNew = this.#shown !== log
    if (log.held.length === 0 && log.number > 0) return
    const lines: string[] = []
    if (isNew && this.#shown && !this.#shown.ended) lines.push(`#${this.#shown.number} ...`, '')
    if (log.number === 0) log.number = ++this.#count
    this.#numbers.set(log.vertex, log.number)
    if (isNew) lines.push(`#${log.number} ${this.#colors.bold(cleanLine(log.vertex.name))}`)
    lines.push(...log.held.map((line) => `#${log.number} ${line}`))
    if (log.ended) lines.push('')
    log.held = []
    log.heldLength = 0
    this.#shown = log
    this.#shownAtMs = this.#now()
    if (log.ended) this.#logs.delete(log.vertex)
    await write(this.#output, lines.map((line) => `${line}\n`).join(''))
  }

  /** While somebody waits, looks again. */
  #watch(): void {
    const waiting = [...this.#logs.values()].find(
      (log) => log !== this.#shown && (log.held.length > 0 || log.number === 0),
    )
    if (!waiting || this.#timer) return
    this.#timer = setTimeout(() => {
      this.#timer = null
      void this.#advance(waiting)
    }, QUIET_MS + 1)
    this.#timer.unref()
  }
}

/** Here only the end of a transfer is a line. */
function isUnderWay(amount: Amount | null): boolean {
  return amount !== null && amount.currentBytes < amount.totalBytes
}

function endingOf(ending: Ending, seconds: number, colors: ReturnType<typeof pc.createColors>): string {
  switch (ending.kind) {
    case 'cached':
      return colors.cyan('CACHED')
    case 'done':
      return colors.cyan(`DONE ${seconds.toFixed(1)}s`)
    case 'failed':
      return colors.red(`ERROR: ${ending.message}`)
    case 'cancelled':
      return colors.yellow('CANCELED')
    default:
      return ending satisfies never
  }
}
