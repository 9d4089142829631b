import type { SolveEvent, StepOutcome } from '#buildkit-lite'
import { messageOf, SlipwayError } from '#domain/errors'
import { OutputLines } from './output-lines.ts'
import type { Ending, Progress, ProgressView, Tell, Vertex, VertexEvent, Warning } from './progress.ts'
import { cleanLine } from './terminal-text.ts'
import { singleVertex, verticesOf } from './vertices.ts'

/** Of a failed step the last so many lines are shown once more. */
const TAIL_LINES = 10

/** Turns what happens in builds into events of vertices, and gives them to a view. */
export function createProgress(view: ProgressView, now: () => number, signal: AbortSignal): Progress {
  return new Feed(view, now, signal)
}

/** What a vertex has printed, as far as it is still of interest. */
interface Printed {
  streams: Record<1 | 2, OutputLines>
  tail: string[]
}

class Feed implements Progress {
  readonly warnings: Warning[] = []
  readonly failures: { name: string; lines: readonly string[] }[] = []
  readonly #view: ProgressView
  readonly #now: () => number
  readonly #signal: AbortSignal
  /** Of each platform's plan. */
  readonly #plans = new Map<string, Vertex[]>()
  readonly #printed = new Map<Vertex, Printed>()
  #definition: Vertex | null = null
  #single = 0

  constructor(view: ProgressView, now: () => number, signal: AbortSignal) {
    this.#view = view
    this.#now = now
    this.#signal = signal
  }

  async show(event: SolveEvent, platform?: string): Promise<void> {
    if (event.kind === 'planned') {
      const vertices = verticesOf(event.plan, platform ?? null)
      this.#plans.set(platform ?? '', vertices)
      await this.#draw({ kind: 'planned', vertices })
      return await this.#warn(event.plan.warnings)
    }
    if (event.kind === 'warned') return await this.#warn(event.warnings)
    const vertex = this.#plans.get(platform ?? '')?.[event.step]
    if (!vertex) return
    switch (event.kind) {
      case 'step-started':
        return await this.#start(vertex, event.missReason)
      case 'output':
        return await this.#print(vertex, event.stream === 'stderr' ? 2 : 1, event.bytes)
      case 'step-finished':
        return await this.#end(vertex, endingOf(event.outcome))
      default:
        event satisfies never
    }
  }

  async during<T>(title: string, work: (tell: Tell) => Promise<T>): Promise<T> {
    const vertex = singleVertex(title, ++this.#single)
    if (title.includes('load build definition')) this.#definition ??= vertex
    await this.#start(vertex, null)
    try {
      const result = await work((text, amount) => this.#draw({ kind: 'status', vertex, text, amount: amount ?? null }))
      await this.#end(vertex, { kind: 'done' })
      return result
    } catch (error) {
      const cancelled = this.#signal.aborted || (error instanceof SlipwayError && error.kind === 'cancelled')
      await this.#end(vertex, cancelled ? { kind: 'cancelled' } : { kind: 'failed', message: messageOf(error) })
      throw error
    }
  }

  async close(): Promise<void> {
    await this.#view.close()
  }

  async #start(vertex: Vertex, missReason: string | null): Promise<void> {
    vertex.startedAtMs = this.#now()
    await this.#draw({ kind: 'started', vertex, missReason })
  }

  async #print(vertex: Vertex, stream: 1 | 2, bytes: Buffer): Promise<void> {
    vertex.startedAtMs ??= this.#now()
    const printed = this.#printed.get(vertex) ?? {
      streams: { 1: new OutputLines(), 2: new OutputLines() },
      tail: [],
    }
    this.#printed.set(vertex, printed)
    const lines = printed.streams[stream].take(bytes)
    this.#keep(vertex, printed, lines)
    await this.#draw({ kind: 'output', vertex, stream, bytes, lines, rest: printed.streams[stream].rest })
  }

  #keep(vertex: Vertex, printed: Printed, lines: readonly string[]): void {
    const seconds = ((this.#now() - (vertex.startedAtMs ?? this.#now())) / 1000).toFixed(3)
    printed.tail.push(...lines.slice(-TAIL_LINES).map((line) => `${seconds} ${cleanLine(line)}`))
    printed.tail.splice(0, printed.tail.length - TAIL_LINES)
  }

  async #end(vertex: Vertex, ending: Ending): Promise<void> {
    vertex.startedAtMs ??= this.#now()
    const printed = this.#printed.get(vertex)
    this.#printed.delete(vertex)
    for (const stream of [1, 2] as const) {
      const lines = printed?.streams[stream].end() ?? []
      if (!printed || lines.length === 0) continue
      this.#keep(vertex, printed, lines)
      await this.#draw({ kind: 'output', vertex, stream, bytes: Buffer.alloc(0), lines, rest: '' })
    }
    if (ending.kind === 'failed') this.failures.push({ name: vertex.name, lines: printed?.tail ?? [] })
    await this.#draw({ kind: 'ended', vertex, ending })
  }

  /** Plans of several platforms warn of the same. */
  async #warn(warnings: readonly Warning[]): Promise<void> {
    const known = new Set(this.warnings.map(nameOf))
    const added = warnings.filter((warning) => !known.has(nameOf(warning)))
    if (added.length === 0) return
    this.warnings.push(...added)
    const vertex = this.#definition ?? singleVertex('[internal] load build definition', ++this.#single)
    await this.#draw({ kind: 'warned', vertex, warnings: added })
  }

  async #draw(event: WithoutTime<VertexEvent>): Promise<void> {
    await this.#view.draw({ ...event, atMs: this.#now() })
  }
}

type WithoutTime<T> = T extends unknown ? Omit<T, 'atMs'> : never

function nameOf({ rule, line, message }: Warning): string {
  return JSON.stringify([rule, line, message])
}

function endingOf(outcome: StepOutcome): Ending {
  return outcome.kind === 'failed' ? { kind: 'failed', message: outcome.message } : outcome
}
