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

/** The last word counts of those that begin alike up to the colon. */
export type Tell = (text: string) => Promise<void>

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
  | { kind: 'status'; vertex: Vertex; text: string }
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

/** Writes and waits until the other side has taken it. */
export async function write(output: NodeJS.WritableStream, text: string): Promise<void> {
  if (text === '' || output.write(text)) return
  await new Promise<void>((resolve) => {
    output.once('drain', () => resolve())
    output.once('close', () => resolve())
  })
}
