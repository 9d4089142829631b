import type { Directives } from './directives.ts'
import { DockerfileError, type LineRange, locate, type SourceText } from './errors.ts'
import type { Heredoc } from './heredoc.ts'
import type { ArgInstruction, FromInstruction, PlacedInstruction } from './instruction.ts'
import { type LogicalLine, type LogicalLines, readLines } from './lines.ts'
import { readInstruction } from './read-instruction.ts'
import { refuseForeignSyntax } from './syntax.ts'
import { cutAtBlank, takeFlags } from './words.ts'

/** A Dockerfile, understood but not expanded: a value that can be printed. */
export interface ParsedDockerfile {
  source: SourceText
  directives: Directives
  /** ARG instructions before the first FROM. */
  globalArgs: readonly (PlacedInstruction & { instruction: ArgInstruction })[]
  stages: readonly ParsedStage[]
  /** Last lines of instructions with a blank line inside their continuation. */
  emptyContinuations: readonly number[]
}

export interface ParsedStage {
  from: FromInstruction
  /** FROM as written. */
  keyword: string
  comments: readonly string[]
  first: number
  last: number
  /** FROM itself is not among them. */
  instructions: readonly PlacedInstruction[]
}

/** Is told what has been understood so far, for when a mistake ends the reading. */
export interface ParseObserver {
  /** The whole file is cut into instructions; none is understood yet. */
  readLines(source: SourceText, lines: LogicalLines): void
  readInstruction(placed: PlacedInstruction): void
}

/**
 * Reads a Dockerfile's text; a mistake is a `DockerfileError` that shows the place. `syntax` is the frontend a build
 * asks for in place of the one that the file names.
 */
export function parseDockerfile(
  text: string,
  name: string,
  observer?: ParseObserver,
  syntax: string | null = null,
): ParsedDockerfile {
  const source = { name, text }
  if (text === '') throw new DockerfileError(`the Dockerfile (${name}) cannot be empty`, source, { first: 1, last: 1 })
  refuseForeignSyntax(source, syntax)
  const read = readLines(source)
  const { directives, lines, emptyContinuations } = read
  observer?.readLines(source, read)
  if (lines.length === 0) throw new DockerfileError('file with no instructions', source, { first: 1, last: 1 })
  const stages = new StageReader(source)
  for (const line of lines) {
    const placed = placeInstruction(line, directives.escape, source)
    observer?.readInstruction(placed)
    stages.add(placed)
  }
  return { source, directives, ...stages.result(), emptyContinuations }
}

/** A trigger's text and how it is read: with the escape of the file it stands in, as if it were at `lines`. */
export interface TriggerText {
  text: string
  escape: Directives['escape']
}

/** Reads the text of an ONBUILD trigger as one instruction; a mistake is shown at `lines` of the file it fires in. */
export function parseTrigger(trigger: TriggerText, source: SourceText, lines: LineRange): PlacedInstruction {
  const own = { name: source.name, text: trigger.text }
  const line = relocate(source, lines, () => {
    const read = readLines(own, trigger.escape).lines
    if (read.length === 1 && read[0]) return read[0]
    throw new DockerfileError(`onbuild trigger should be a single expression: ${trigger.text}`, source, lines)
  })
  const placed = placeInstruction({ ...line, first: lines.first, last: lines.last }, trigger.escape, source)
  const { kind } = placed.instruction
  if (kind !== 'FROM' && kind !== 'ONBUILD' && kind !== 'MAINTAINER') return placed
  throw new DockerfileError(`${kind} isn't allowed as an ONBUILD trigger`, source, lines)
}

/** A mistake in a text that stands in no file of the user's is shown where it takes effect. */
function relocate<T>(source: SourceText, lines: LineRange, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof DockerfileError)) throw error
    throw new DockerfileError(`in an ONBUILD trigger: ${error.message}`, source, lines, { cause: error })
  }
}

function placeInstruction(line: LogicalLine, escape: string, source: SourceText): PlacedInstruction {
  const { first, last, text, heredocs } = line
  const [word, behind] = cutAtBlank(text.trim())
  const keyword = word.toUpperCase()
  const { flags, rest } = takeFlags(behind)
  const parts = { keyword, written: word, flags, rest, heredocs, escape }
  // The message names the line itself, too: it is read without the excerpt.
  const prefix = `dockerfile parse error on line ${first}: `
  const instruction = locate(source, line, () => readInstruction(parts), prefix)
  return { instruction, title: titleOf(keyword, behind, heredocs), keyword: word, comments: line.comments, first, last }
}

const SUMMARY_CHARACTERS = 40

/** The instruction on one line; of a here-document, which has none, the beginning of its first line. */
function titleOf(keyword: string, behind: string, heredocs: readonly Heredoc[]): string {
  const words = `${keyword} ${behind.trim().replace(/\s+/g, ' ')}`.trim()
  const body = heredocs[0]?.content.trim()
  if (!body) return words
  const line = body.split('\n', 1)[0] ?? ''
  const isWhole = line === body && line.length <= SUMMARY_CHARACTERS
  return `${words} (${isWhole ? line : `${line.slice(0, SUMMARY_CHARACTERS)}…`})`
}

/** Puts instructions into their stages. */
class StageReader {
  readonly #source: SourceText
  readonly #globalArgs: (PlacedInstruction & { instruction: ArgInstruction })[] = []
  readonly #stages: (ParsedStage & { instructions: PlacedInstruction[] })[] = []

  constructor(source: SourceText) {
    this.#source = source
  }

  add(item: PlacedInstruction): void {
    const { instruction, keyword, comments, first, last } = item
    const stage = this.#stages.at(-1)
    if (instruction.kind === 'FROM') {
      this.#stages.push({ from: instruction, keyword, comments, first, last, instructions: [] })
    } else if (stage) stage.instructions.push(item)
    else if (instruction.kind === 'ARG') this.#globalArgs.push({ ...item, instruction })
    else {
      const message = `no build stage in current context: only ARG may stand before the first FROM, got ${instruction.kind}`
      throw new DockerfileError(message, this.#source, { first, last })
    }
  }

  result() {
    const stages = this.#stages
    const globalArgs = this.#globalArgs
    if (stages.length > 0) return { globalArgs, stages }
    const message = 'dockerfile contains no stages to build: expected a FROM instruction'
    throw new DockerfileError(message, this.#source, { first: 1, last: 1 })
  }
}
