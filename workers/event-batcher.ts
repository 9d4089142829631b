import type { BuildEvent } from '#domain/build-event'
import { lastLine } from '#domain/build-event'

export interface BatcherOptions {
  append: (events: readonly BuildEvent[]) => Promise<void>
  /** An event waits no longer than this for company. */
  delayMs: number
  /** What may wait before `room` lets nobody in, and the most text of one event and of one append. */
  maxBytes: number
  /** Told once if an append fails; nothing is accepted after that. */
  onFailure: (error: unknown) => void
}

type LogEvent = Extract<BuildEvent, { kind: 'log' }>

/** Appends events in batches, in order, one append in flight. */
export class EventBatcher {
  readonly #options: BatcherOptions
  #pending: BuildEvent[] = []
  #pendingBytes = 0
  #timer: NodeJS.Timeout | null = null
  #inFlight: Promise<void> | null = null
  #failure: { error: unknown } | null = null

  constructor(options: BatcherOptions) {
    this.#options = options
  }

  add(event: BuildEvent): void {
    if (this.#failure) throw this.#failure.error
    const last = this.#pending.at(-1)
    const joined = last?.kind === 'log' && event.kind === 'log' ? join(last, event, this.#options.maxBytes) : null
    if (joined) this.#pending[this.#pending.length - 1] = joined
    else this.#pending.push(event)
    this.#pendingBytes += sizeOf(event)
    this.#schedule()
  }

  /** Resolves when there is room for more: awaited by whoever reads a container's pipe. */
  async room(): Promise<void> {
    while (this.#pendingBytes >= this.#options.maxBytes) await this.#send()
    if (this.#failure) throw this.#failure.error
  }

  /** Resolves when everything that was added is stored. */
  async drain(): Promise<void> {
    while (this.#inFlight || this.#pending.length > 0) await this.#send()
    if (this.#failure) throw this.#failure.error
  }

  #schedule(): void {
    if (this.#inFlight || this.#pending.length === 0) return
    if (this.#pendingBytes >= this.#options.maxBytes) void this.#send()
    else this.#timer ??= setTimeout(() => void this.#send(), this.#options.delayMs)
  }

  /** Never rejects: a failure is kept for those who add and wait. */
  async #send(): Promise<void> {
    if (this.#inFlight) return this.#inFlight
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
    const batch = this.#takeBatch()
    if (batch.length === 0) return
    this.#inFlight = this.#options.append(batch).catch((error: unknown) => {
      this.#failure = { error }
      this.#pending = []
      this.#pendingBytes = 0
      this.#options.onFailure(error)
    })
    await this.#inFlight
    this.#inFlight = null
    this.#schedule()
  }

  #takeBatch(): BuildEvent[] {
    let count = 0
    let bytes = 0
    for (const event of this.#pending) {
      if (count > 0 && bytes + sizeOf(event) > this.#options.maxBytes) break
      bytes += sizeOf(event)
      count++
    }
    this.#pendingBytes -= bytes
    return this.#pending.splice(0, count)
  }
}

/** Characters stand for bytes: what counts is that memory stays bounded. */
function sizeOf(event: BuildEvent): number {
  return event.kind === 'log' ? event.text.length : 0
}

/** Two pieces of the same stream, one right after the other, as one event. */
function join(first: LogEvent, second: LogEvent, maxBytes: number): LogEvent | null {
  const isSame = first.step === second.step && first.stream === second.stream
  const isNext = lastLine(first.firstLine, first.text) + 1 === second.firstLine
  if (!isSame || !isNext || first.unfinished || second.unfinished) return null
  return first.text.length + second.text.length > maxBytes ? null : { ...first, text: first.text + second.text }
}
