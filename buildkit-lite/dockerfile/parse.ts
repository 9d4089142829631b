import type { Directives } from './directives.ts'
import { DockerfileError, locate, type SourceText } from './errors.ts'
import type { Heredoc } from './heredoc.ts'
import type { ArgInstruction, FromInstruction, PlacedInstruction } from './instruction.ts'
import { type LogicalLine, type LogicalLines, readLines } from './lines.ts'
import { readInstruction } from './read-instruction.ts'
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

/** Reads a Dockerfile's text; a mistake is a `DockerfileError` that shows the place. */
export function parseDockerfile(text: string, name: string, observer?: ParseObserver): ParsedDockerfile {
  const source = { name, text }
  if (text === '') throw new DockerfileError(`the Dockerfile (${name}) cannot be empty`, source, { first: 1, last: 1 })
  const read = readLines(source)
  const { directives, lines, emptyContinuations } = read
  observer?.readLines(source, read)
  if (lines.length === 0) throw new DockerfileError('file with no instructions', source, { first: 1, last: 1 })
  const placed = lines.map((line) => {
    const one = placeInstruction(line, directives.escape, source)
    observer?.readInstruction(one)
    return one
  })
  return { source, directives, ...groupStages(placed, source), emptyContinuations }
}

/** Reads the text of an ONBUILD trigger as one instruction that stands at `lines`. */
export function parseTrigger(
  text: string,
  source: SourceText,
  lines: { first: number; last: number },
): PlacedInstruction {
  const read = readLines({ name: source.name, text })
  const line = read.lines[0]
  if (!line || read.lines.length !== 1) {
    throw new DockerfileError(`onbuild trigger should be a single expression: ${text}`, source, lines)
  }
  return placeInstruction({ ...line, ...lines }, '\\', source)
}

function placeInstruction(line: LogicalLine, escape: string, source: SourceText): PlacedInstruction {
  const { first, last, text, heredocs } = line
  const [word, behind] = cutAtBlank(text.trim())
  const keyword = word.toUpperCase()
  const { flags, rest } = keyword === 'ONBUILD' ? { flags: [], rest: behind.trim() } : takeFlags(behind)
  const parts = { keyword, flags, rest, text, heredocs, escape }
  const instruction = locateParse(source, { first, last }, () => readInstruction(parts))
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

/** Messages of the parser name the line themselves, too: they are read without the excerpt. */
function locateParse<T>(source: SourceText, lines: { first: number; last: number }, work: () => T): T {
  try {
    return locate(source, lines, work)
  } catch (error) {
    if (!(error instanceof DockerfileError)) throw error
    const message = `dockerfile parse error on line ${lines.first}: ${error.message}`
    throw new DockerfileError(message, source, lines, { cause: error })
  }
}

function groupStages(placed: readonly PlacedInstruction[], source: SourceText) {
  const globalArgs: (PlacedInstruction & { instruction: ArgInstruction })[] = []
  const stages: (ParsedStage & { instructions: PlacedInstruction[] })[] = []
  for (const item of placed) {
    const { instruction, keyword, comments, first, last } = item
    const stage = stages.at(-1)
    if (instruction.kind === 'FROM')
      stages.push({ from: instruction, keyword, comments, first, last, instructions: [] })
    else if (stage) stage.instructions.push(item)
    else if (instruction.kind === 'ARG') globalArgs.push({ ...item, instruction })
    else throw new DockerfileError('no build stage in current context', source, { first, last })
  }
  if (stages.length === 0) {
    throw new DockerfileError('dockerfile contains no stages to build', source, { first: 1, last: 1 })
  }
  return { globalArgs, stages }
}
