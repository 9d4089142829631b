import { type BuildEvent, lastLine } from '#domain/build-event'
import type { StepId } from '#domain/ids'
import { EventBatcher } from './event-batcher.ts'
import { LineAssembler } from './line-assembler.ts'
import type { SecretMask } from './mask-secrets.ts'

const BATCH_DELAY_MS = 50
const BATCH_BYTES = 256 * 1024
const PREVIEW_AFTER_MS = 1000
/** A line that grows beyond this is not shown again and again. */
const PREVIEW_CHARS = 1024
const LOG_LIMIT_BYTES = 64 * 1024 * 1024
/** Pieces are cut to this, so that no event grows past a batch. */
const PIECE_BYTES = 64 * 1024

type Stream = Extract<BuildEvent, { kind: 'log' }>['stream']

export interface ReporterOptions {
  append: (events: readonly BuildEvent[]) => Promise<void>
  mask: SecretMask
  /** Number of the next line of the build's log, from 1. */
  firstLine: number
  now: () => number
  /** Told once if the build's events can no longer be stored. */
  onFailure: (error: unknown) => void
  logLimitBytes?: number
}

/** A stream that has been written to, and what was last shown of a line that it has not ended. */
interface OpenStream {
  step: StepId | null
  stream: Stream
  lines: LineAssembler
  previewed: string
  restSinceMs: number
}

/**
 * Turns what a build does and prints into its events: whole lines under absolute numbers, without secrets, in batches.
 * `output` is awaited by the reader of the container's pipe, so that a slow store slows the container.
 */
export class Reporter implements AsyncDisposable {
  readonly #options: ReporterOptions
  readonly #batcher: EventBatcher
  readonly #streams = new Map<string, OpenStream>()
  #nextLine: number
  #logBytes = 0
  #previewTimer: NodeJS.Timeout | null = null

  constructor(options: ReporterOptions) {
    this.#options = options
    this.#nextLine = options.firstLine
    const { append, onFailure } = options
    this.#batcher = new EventBatcher({ append, onFailure, delayMs: BATCH_DELAY_MS, maxBytes: BATCH_BYTES })
  }

  /** Anything but lines of log; it comes after everything that was reported before. */
  event(event: BuildEvent): void {
    this.#batcher.add(event)
  }

  /** Bytes as a program printed them. */
  async output(step: StepId | null, stream: Stream, bytes: Uint8Array): Promise<void> {
    if (this.#isOverLimit(bytes.length)) return
    const open = this.#streamOf(step, stream)
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      this.#emit(open, open.lines.push(bytes.subarray(at, at + PIECE_BYTES)))
      await this.#batcher.room()
    }
    if (open.lines.rest !== '') this.#startPreviews(open)
  }

  /** A line of our own. */
  system(text: string, step: StepId | null = null): void {
    this.#emit(this.#streamOf(step, 'system'), `${text}\n`)
  }

  /** Ends the last lines of a step's streams. */
  endStep(step: StepId | null): void {
    for (const [key, open] of this.#streams) {
      if (open.step !== step) continue
      this.#emit(open, open.lines.end())
      this.#streams.delete(key)
    }
  }

  /** Resolves when everything reported so far is stored. */
  drain(): Promise<void> {
    return this.#batcher.drain()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#previewTimer) clearTimeout(this.#previewTimer)
    this.#previewTimer = null
    // Whoever needs to know whether all was stored has drained before.
    await this.#batcher.drain().catch(() => {})
  }

  #streamOf(step: StepId | null, stream: Stream): OpenStream {
    const key = `${step} ${stream}`
    let open = this.#streams.get(key)
    if (!open) {
      const lines = new LineAssembler(this.#options.mask.heldBack)
      open = { step, stream, lines, previewed: '', restSinceMs: 0 }
      this.#streams.set(key, open)
    }
    return open
  }

  #emit(open: OpenStream, text: string): void {
    if (text === '') return
    const masked = this.#options.mask.apply(text)
    open.previewed = ''
    open.restSinceMs = 0
    const firstLine = this.#nextLine
    this.#nextLine = lastLine(firstLine, masked) + 1
    this.#add(open, firstLine, masked)
  }

  #add({ step, stream }: OpenStream, firstLine: number, text: string, unfinished = false): void {
    const event = { kind: 'log', atMs: this.#options.now(), step, stream, firstLine, text } as const
    this.#batcher.add(unfinished ? { ...event, unfinished } : event)
  }

  #startPreviews(open: OpenStream): void {
    if (open.restSinceMs === 0) open.restSinceMs = this.#options.now()
    this.#previewTimer ??= setTimeout(() => {
      this.#previewTimer = null
      for (const each of this.#streams.values()) this.#preview(each)
    }, PREVIEW_AFTER_MS)
  }

  /** Shows what waits for its end, where the next line will be. */
  #preview(open: OpenStream): void {
    const { rest } = open.lines
    if (rest === '') return
    const { mask } = this.#options
    const text = lastRewrite(mask.apply(rest.slice(0, rest.length - mask.heldBack(rest)))).slice(0, PREVIEW_CHARS)
    const shown = `${this.#nextLine} ${text}`
    if (text !== '' && shown !== open.previewed) {
      open.previewed = shown
      try {
        this.#add(open, this.#nextLine, `${text}\n`, true)
      } catch {
        // The build has lost its store, which `onFailure` was told.
        return
      }
    }
    this.#startPreviews(open)
  }

  #isOverLimit(moreBytes: number): boolean {
    const limit = this.#options.logLimitBytes ?? LOG_LIMIT_BYTES
    const wasOver = this.#logBytes > limit
    this.#logBytes += moreBytes
    if (wasOver || this.#logBytes <= limit) return wasOver
    this.system(`The log has reached its limit of ${limit} bytes; what follows is not kept.`)
    return true
  }
}

/** What a terminal would show of a line that a program rewrites with carriage returns. */
function lastRewrite(text: string): string {
  return text.replace(/\r+$/, '').split('\r').at(-1) ?? ''
}
