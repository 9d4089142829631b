import type { Plan, SolveEvent } from '#buildkit-lite'

/** A rule of the linter that is broken. */
export type Warning = Plan['warnings'][number]

/** Shows a build as it goes. */
export interface Progress {
  /** `platform` is named where several are built side by side. */
  show(event: SolveEvent, platform?: string): Promise<void>
  /** Work beside the plan's steps, such as an export; `tell` says how far it is. */
  during<T>(title: string, work: (tell: Tell) => Promise<T>): Promise<T>
  /** Shows what is left and lets go of the terminal; no more is shown. */
  close(): Promise<void>
  /** Of all plans that were shown, each once. */
  readonly warnings: readonly Warning[]
  /** The ends of what failed steps printed. */
  readonly failures: readonly { name: string; lines: readonly string[] }[]
}

/** Of what is told of one thing the last word counts; with an amount, of how much of it is there. */
export type Tell = (text: string, amount?: Amount) => Promise<void>

export interface Amount {
  currentBytes: number
  totalBytes: number
}

export interface ProgressOptions {
  output: NodeJS.WritableStream & { isTTY?: boolean; columns?: number; rows?: number }
  now: () => number
  colors: boolean
}

/** One line of work: a step of a plan, or something beside it. */
export interface Vertex {
  digest: string
  /** Digests of the vertices it needs. */
  inputs: readonly string[]
  name: string
  startedAtMs: number | null
}

export type Ending = { kind: 'cached' } | { kind: 'done' } | { kind: 'failed'; message: string } | { kind: 'cancelled' }

/** What a form of progress has to draw. */
export type VertexEvent = { atMs: number } & (
  | { kind: 'planned'; vertices: readonly Vertex[] }
  | { kind: 'started'; vertex: Vertex; missReason: string | null }
  | { kind: 'status'; vertex: Vertex; text: string; amount: Amount | null }
  /** `lines` are those that are complete now, `rest` is the one that is not. */
  | { kind: 'output'; vertex: Vertex; stream: 1 | 2; bytes: Buffer; lines: readonly string[]; rest: string }
  | { kind: 'warned'; vertex: Vertex; warnings: readonly Warning[] }
  | { kind: 'ended'; vertex: Vertex; ending: Ending }
)

/** A form of progress: draws events in the order in which they come. */
export interface ProgressView {
  draw(event: VertexEvent): Promise<void>
  close(): Promise<void>
}

const UNITS = ['kB', 'MB', 'GB', 'TB']

/** `61B`, `2.13kB`: with three digits, as other builders write sizes. */
export function sizeOf(bytes: number): string {
  let value = bytes
  let unit = 'B'
  for (const next of UNITS) {
    if (value < 1000) break
    value /= 1000
    unit = next
  }
  return `${unit === 'B' ? value : value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)}${unit}`
}

/** `sha256:… 3.40MB / 29.1MB` */
export function statusText(text: string, amount: Amount | null): string {
  return amount === null ? text : `${text} ${sizeOf(amount.currentBytes)} / ${sizeOf(amount.totalBytes)}`
}

/** Writes and waits until the other side has taken it. */
export async function write(output: NodeJS.WritableStream, text: string): Promise<void> {
  if (text === '' || output.write(text)) return
  await new Promise<void>((resolve) => {
    output.once('drain', () => resolve())
    output.once('close', () => resolve())
  })
}
