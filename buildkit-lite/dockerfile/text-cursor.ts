/** Names as nearly all are, without the large tables of Unicode. */
const ASCII_NAME = /\d+|[@*#?\-$!]|[A-Za-z_]\w*/y
const NAME = /\p{Nd}+|[@*#?\-$!]|[\p{L}_][\p{L}\p{Nd}_]*/uy

/** A place in a text that moves on as pieces are taken. */
export class TextCursor {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  /** Index of the next code unit. */
  get at(): number {
    return this.#at
  }

  /** What has been taken since `start`. */
  since(start: number): string {
    return this.#text.slice(start, this.#at)
  }

  /** The next code unit, empty at the end. All characters with a meaning are one code unit. */
  peek(): string {
    return this.#text.charAt(this.#at)
  }

  skip(): void {
    this.#at++
  }

  /** What the sticky pattern matches here; empty where it does not. */
  take(pattern: RegExp): string {
    pattern.lastIndex = this.#at
    const text = pattern.exec(this.#text)?.[0] ?? ''
    this.#at += text.length
    return text
  }

  takeCharacter(): string {
    const code = this.#text.codePointAt(this.#at)
    const character = code === undefined ? '' : String.fromCodePoint(code)
    this.#at += character.length
    return character
  }

  /** The text before the next such sign, which is taken, too; null, and all taken, where there is none. */
  takeTo(sign: string): string | null {
    const start = this.#at
    const end = this.#text.indexOf(sign, start)
    this.#at = end < 0 ? this.#text.length : end + 1
    return end < 0 ? null : this.#text.slice(start, end)
  }

  /** The name of a variable, which may be one special sign; empty where none begins here. */
  takeName(): string {
    const start = this.#at
    const name = this.take(ASCII_NAME)
    // Nothing but a letter or a digit of another script can make it longer.
    if (!(this.#text.charCodeAt(this.#at) >= 0x80)) return name
    this.#at = start
    return this.take(NAME)
  }
}
