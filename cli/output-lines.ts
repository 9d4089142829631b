import { StringDecoder } from 'node:string_decoder'

/** A line that does not end is cut after so many characters. */
const MAX_LINE = 16 * 1024

/** Cuts what a stream of a program prints into lines. */
export class OutputLines {
  readonly #decoder = new StringDecoder('utf8')
  #rest = ''

  /** What is left of a line that has not ended. */
  get rest(): string {
    return this.#rest
  }

  /** The lines that have ended with `bytes`. */
  take(bytes: Buffer): string[] {
    const lines = (this.#rest + this.#decoder.write(bytes)).split('\n')
    this.#rest = lines.pop() ?? ''
    while (this.#rest.length > MAX_LINE) {
      lines.push(this.#rest.slice(0, MAX_LINE))
      this.#rest = this.#rest.slice(MAX_LINE)
    }
    return lines
  }

  /** The last line, if it has no end. */
  end(): string[] {
    const text = this.#rest + this.#decoder.end()
    this.#rest = ''
    return text === '' ? [] : [text]
  }
}
