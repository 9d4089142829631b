import { Writable } from 'node:stream'

const ESC = '\u001b'
const SEQUENCE = new RegExp(`^${ESC}\\[(\\??)([\\d;]*)([A-Za-z])`)

/**
 * A terminal in small: what a person sees of what was written to it. It knows the few sequences that progress uses and
 * fails on any other, so that nothing unknown gets through unseen.
 */
export class Screen extends Writable {
  readonly isTTY = true
  columns: number
  rows: number
  /** Whether the cursor is to be seen. */
  hasCursor = true
  /** How many pictures were drawn. */
  frames = 0
  /** Every sequence for colours, in order. */
  readonly colors: string[] = []
  #lines: string[][] = [[]]
  #row = 0
  #column = 0

  constructor(columns: number, rows: number) {
    super({ decodeStrings: false })
    this.columns = columns
    this.rows = rows
  }

  /** What is seen, without blanks at the ends of lines and without empty lines at the end. */
  get text(): string[] {
    const lines = this.#lines.map((line) =>
      Array.from(line, (cell) => cell ?? ' ')
        .join('')
        .trimEnd(),
    )
    while (lines.at(-1) === '') lines.pop()
    return lines
  }

  /** A terminal of another width breaks the lines that are too long for it, and joins none. */
  resize(columns: number, rows: number): void {
    const above = this.#lines.slice(0, this.#row)
    const broken = above.flatMap((line) => chunks(line, columns))
    this.#lines = [...broken, ...this.#lines.slice(this.#row)]
    this.#row = broken.length
    this.columns = columns
    this.rows = rows
    this.emit('resize')
  }

  override _write(chunk: string | Buffer, _encoding: string, done: () => void): void {
    const text = String(chunk)
    for (let at = 0; at < text.length; ) {
      const sequence = SEQUENCE.exec(text.slice(at, at + 32))
      if (sequence) {
        this.#obey(`${sequence[1]}${sequence[3]}`, sequence[2] ?? '')
        at += sequence[0].length
      } else {
        const character = String.fromCodePoint(text.codePointAt(at) ?? 0)
        this.#put(character)
        at += character.length
      }
    }
    done()
  }

  #obey(kind: string, parameter: string): void {
    switch (kind) {
      case 'A':
        this.#row = Math.max(0, this.#row - Number(parameter || '1'))
        return
      case 'J':
        this.#lines.length = this.#row + 1
        this.#line().length = this.#column
        return
      case 'm':
        this.colors.push(parameter)
        return
      case '?h':
      case '?l':
        if (parameter === '25') this.hasCursor = kind === '?h'
        else if (parameter === '2026') this.frames += kind === '?h' ? 1 : 0
        else throw new Error(`Unknown mode ${parameter}`)
        return
      default:
        throw new Error(`Unknown sequence ${kind} ${parameter}`)
    }
  }

  #put(character: string): void {
    if (character === '\n') {
      this.#row += 1
      this.#column = 0
      this.#line()
    } else if (character === '\r') this.#column = 0
    else if (/\p{Cc}/u.test(character)) throw new Error(`Control character ${JSON.stringify(character)}`)
    else {
      if (this.#column >= this.columns) {
        this.#row += 1
        this.#column = 0
      }
      this.#line()[this.#column++] = character
    }
  }

  #line(): string[] {
    while (this.#lines.length <= this.#row) this.#lines.push([])
    return this.#lines[this.#row] ?? []
  }
}

function chunks(line: readonly string[], size: number): string[][] {
  const parts: string[][] = []
  for (let at = 0; at < line.length; at += size) parts.push(line.slice(at, at + size))
  return parts.length === 0 ? [[]] : parts
}
