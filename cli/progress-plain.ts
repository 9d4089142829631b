import { StringDecoder } from 'node:string_decoder'
import pc from 'picocolors'
import type { Plan, SolveEvent, StepOutcome } from '#buildkit-lite'
import { type Progress, type ProgressOptions, vertexName, write } from './progress.ts'

/** The log that BuildKit's users know: `#5 [build 2/4] RUN …`, `#5 0.123 output`, `#5 DONE 0.4s`. */
export function createPlainProgress(options: ProgressOptions): Progress {
  const log = new PlainLog(options)
  return {
    show: (event) => log.show(event),
    during: (title, work) => log.during(title, work),
  }
}

interface Vertex {
  number: number
  startedAtMs: number
  /** Output of each stream that is no whole line yet. */
  rest: Record<'stdout' | 'stderr' | 'system', { decoder: StringDecoder; text: string }>
}

class PlainLog {
  readonly #output: ProgressOptions['output']
  readonly #now: () => number
  readonly #colors: ReturnType<typeof pc.createColors>
  readonly #vertices = new Map<number, Vertex>()
  #plan: Plan | null = null
  #count = 0

  constructor({ output, now, form }: ProgressOptions) {
    this.#output = output
    this.#now = now
    this.#colors = pc.createColors(form !== 'plain' && output.isTTY === true)
  }

  async show(event: SolveEvent): Promise<void> {
    switch (event.kind) {
      case 'planned':
        this.#plan = event.plan
        return await this.#print(event.plan.warnings.map(({ message, line }) => `WARNING: ${message} (line ${line})`))
      case 'step-started': {
        const { number } = await this.#vertexAt(event.step)
        return await this.#print([this.#colors.dim(`#${number} not cached: ${event.missReason ?? 'no reason known'}`)])
      }
      case 'output':
        return await this.#print(takeLines(await this.#vertexAt(event.step), event, this.#now()))
      case 'step-finished':
        return await this.#end(await this.#vertexAt(event.step), event.outcome)
      default:
        event satisfies never
    }
  }

  async during<T>(title: string, work: () => Promise<T>): Promise<T> {
    const vertex = await this.#begin(title)
    try {
      const result = await work()
      await this.#end(vertex, { kind: 'done' })
      return result
    } catch (error) {
      await this.#print([`#${vertex.number} ERROR`, ''])
      throw error
    }
  }

  async #begin(name: string): Promise<Vertex> {
    const number = ++this.#count
    const vertex = { number, startedAtMs: this.#now(), rest: { stdout: rest(), stderr: rest(), system: rest() } }
    await this.#print([`#${number} ${this.#colors.bold(name)}`])
    return vertex
  }

  async #vertexAt(step: number): Promise<Vertex> {
    const known = this.#vertices.get(step)
    if (known) return known
    const vertex = await this.#begin(this.#plan ? vertexName(this.#plan, step) : `step ${step}`)
    this.#vertices.set(step, vertex)
    return vertex
  }

  async #end(vertex: Vertex, outcome: StepOutcome): Promise<void> {
    const ending = endingOf(outcome, ((this.#now() - vertex.startedAtMs) / 1000).toFixed(1))
    await this.#print([...flush(vertex, this.#now()), `#${vertex.number} ${this.#colors.bold(ending)}`, ''])
  }

  async #print(lines: readonly string[]): Promise<void> {
    await write(this.#output, lines.map((line) => `${line}\n`).join(''))
  }
}

function rest(): { decoder: StringDecoder; text: string } {
  return { decoder: new StringDecoder('utf8'), text: '' }
}

function takeLines(vertex: Vertex, event: Extract<SolveEvent, { kind: 'output' }>, atMs: number): string[] {
  const stream = vertex.rest[event.stream]
  const lines = (stream.text + stream.decoder.write(event.bytes)).split('\n')
  stream.text = lines.pop() ?? ''
  return lines.map((line) => outputLine(vertex, line, atMs))
}

function flush(vertex: Vertex, atMs: number): string[] {
  return Object.values(vertex.rest).flatMap(({ text }) => (text === '' ? [] : [outputLine(vertex, text, atMs)]))
}

function outputLine(vertex: Vertex, line: string, atMs: number): string {
  return `#${vertex.number} ${((atMs - vertex.startedAtMs) / 1000).toFixed(3)} ${line.replace(/\r$/, '')}`
}

function endingOf(outcome: StepOutcome, seconds: string): string {
  switch (outcome.kind) {
    case 'cached':
      return 'CACHED'
    case 'done':
      return `DONE ${seconds}s`
    case 'failed':
      return `ERROR: ${outcome.message}`
    case 'cancelled':
      return 'CANCELED'
    default:
      return outcome satisfies never
  }
}
