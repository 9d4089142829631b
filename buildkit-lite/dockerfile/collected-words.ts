import { SPACE } from './words.ts'

/** A text as it is put together, and its words: a piece that was quoted never ends a word. */
export class CollectedWords {
  readonly #pieces: { text: string; splits: boolean }[] = []
  #length = 0

  get length(): number {
    return this.#length
  }

  get text(): string {
    return this.#pieces.map((piece) => piece.text).join('')
  }

  /** `splits` says whether blanks in the piece end a word. */
  add(text: string, splits: boolean): void {
    if (text === '') return
    this.#pieces.push({ text, splits })
    this.#length += text.length
  }

  get words(): string[] {
    const words: string[] = []
    let word = ''
    const finish = (): void => {
      if (word !== '') words.push(word)
      word = ''
    }
    for (const { text, splits } of this.#pieces) {
      const [first = '', ...others] = splits ? splitSpaces(text) : [text]
      word += first
      for (const other of others) {
        finish()
        word += other
      }
    }
    finish()
    return words
  }
}

/** The blanks of other scripts are looked for only where there is one. */
function splitSpaces(text: string): string[] {
  return text.split(/[\u0080-\uffff]/.test(text) ? SPACE : /[\t\n\v\f\r ]/)
}
