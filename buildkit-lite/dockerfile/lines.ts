import { DirectiveReader, type Directives } from './directives.ts'
import { DockerfileError, locate, type SourceText } from './errors.ts'
import { findHeredocs, type Heredoc } from './heredoc.ts'
import { cutAtBlank, isJsonArray, takeFlags, trimEndOf } from './words.ts'

/** One instruction's text: continuations joined, comments dropped, here-documents taken off. */
export interface LogicalLine {
  text: string
  heredocs: readonly Heredoc[]
  /** The comment lines directly above, without their `#`; directives are none. */
  comments: readonly string[]
  first: number
  last: number
}

export interface LogicalLines {
  directives: Directives
  lines: readonly LogicalLine[]
  /** Last lines of instructions with an empty line inside their continuation. */
  emptyContinuations: readonly number[]
}

/** Longer lines are refused, as in other builders. */
const MAX_LINE_BYTES = 65_535
const COMMENT = /^\s*#/

/** Splits a Dockerfile into its instructions; `escape` counts until the file says otherwise. */
export function readLines(source: SourceText, escape: Directives['escape'] = '\\'): LogicalLines {
  return new LineReader(source, escape).read()
}

class LineReader {
  readonly #source: SourceText
  readonly #raw: readonly string[]
  readonly #directives: DirectiveReader
  readonly #emptyContinuations: number[] = []
  /** Index of the next physical line. */
  #next = 0

  constructor(source: SourceText, escape: Directives['escape']) {
    this.#source = source
    this.#directives = new DirectiveReader(escape)
    const lines = source.text.replace(/^\uFEFF/, '').split('\n')
    // What follows the last newline is no line if it is empty.
    this.#raw = lines.at(-1) === '' ? lines.slice(0, -1) : lines
    const long = this.#raw.findIndex(isTooLong)
    if (long >= 0) {
      const message = `dockerfile line greater than max allowed size of ${MAX_LINE_BYTES} bytes, cut it into continued lines`
      throw new DockerfileError(message, source, { first: long + 1, last: long + 1 })
    }
  }

  read(): LogicalLines {
    const lines: LogicalLine[] = []
    let comments: string[] = []
    while (this.#next < this.#raw.length) {
      const number = this.#next + 1
      const text = this.#takeLine().trimStart()
      const isDirective = locate(this.#source, { first: number, last: number }, () => this.#directives.accept(text))
      const comment = COMMENT.test(text) ? text.slice(1).trim() : ''
      if (isDirective) continue
      // An empty comment parts what is above from the instruction, as an empty line does.
      if (comment !== '') comments.push(comment)
      else if (text === '' || COMMENT.test(text)) comments = []
      else {
        lines.push(this.#readInstruction(text, comments))
        comments = []
      }
    }
    return { directives: this.#directives.result(), lines, emptyContinuations: this.#emptyContinuations }
  }

  #takeLine(): string {
    return trimEndOf(this.#raw[this.#next++] ?? '', '\r')
  }

  #readInstruction(start: string, comments: readonly string[]): LogicalLine {
    const first = this.#next
    const text = this.#joinContinuations(start)
    const instructionLast = this.#next
    const heredocs = this.#readHeredocs(text, { first, last: instructionLast })
    return { text, heredocs, comments, first, last: this.#next }
  }

  #joinContinuations(start: string): string {
    let { text, continues } = this.#cutContinuation(start)
    let empty = false
    while (continues && this.#next < this.#raw.length) {
      const line = this.#takeLine()
      if (COMMENT.test(line)) continue
      if (line.trim() === '') {
        empty = true
        continue
      }
      const cut = this.#cutContinuation(line)
      text += cut.text
      continues = cut.continues
    }
    if (empty) this.#emptyContinuations.push(this.#next)
    return text
  }

  /** An escape at the end of a line, alone, and blanks behind it, continue the line. */
  #cutContinuation(line: string): { text: string; continues: boolean } {
    const { escape } = this.#directives
    const trimmed = trimEndOf(line, ' \t')
    const continues = trimmed.endsWith(escape) && !trimmed.endsWith(escape + escape)
    return continues ? { text: trimmed.slice(0, -1), continues } : { text: line, continues }
  }

  #readHeredocs(text: string, lines: { first: number; last: number }): Heredoc[] {
    if (!text.includes('<<') || !mayHaveHeredocs(text)) return []
    return findHeredocs(text).map((mark) => ({ ...mark, content: this.#readBody(mark.name, mark.chomp, lines) }))
  }

  /** Bodies keep their line ends as they are, `\r` too. */
  #readBody(name: string, chomp: boolean, lines: { first: number; last: number }): string {
    const content: string[] = []
    while (this.#next < this.#raw.length) {
      const raw = this.#raw[this.#next++] ?? ''
      const line = trimEndOf(raw, '\r')
      if ((chomp ? line.replace(/^\t+/, '') : line) === name) return content.join('')
      content.push(raw, '\n')
    }
    const message = `unterminated heredoc, expected a line that is only ${name}`
    throw new DockerfileError(message, this.#source, { ...lines, last: this.#raw.length })
  }
}

function isTooLong(line: string): boolean {
  // UTF-8 needs at most three bytes for what is one in UTF-16.
  return line.length * 3 > MAX_LINE_BYTES && Buffer.byteLength(line) > MAX_LINE_BYTES
}

/** RUN, COPY and ADD have here-documents, also behind ONBUILD, but not in JSON form: there `<<` is only text. */
function mayHaveHeredocs(text: string): boolean {
  const [keyword, behind] = cutAtBlank(text.trim())
  const { rest } = takeFlags(behind)
  if (keyword.toUpperCase() === 'ONBUILD') return !rest.toUpperCase().startsWith('ONBUILD') && mayHaveHeredocs(rest)
  return ['RUN', 'COPY', 'ADD'].includes(keyword.toUpperCase()) && !isJsonArray(rest)
}
