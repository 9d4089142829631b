import { StringDecoder } from 'node:string_decoder'

/** A line without an end is cut here, so that no program can make us keep all it prints. Characters. */
const MAX_LINE = 64 * 1024

/** Makes whole lines of one stream's pieces, wherever the pieces were cut: in a line, in `\r\n`, in a character. */
export class LineAssembler {
  readonly #decoder = new StringDecoder('utf8')
  /** How many characters at the end of a text must not be parted from what follows. */
  readonly #heldBack: (text: string) => number
  #rest = ''

  constructor(heldBack: (text: string) => number = () => 0) {
    this.#heldBack = heldBack
  }

  /** The beginning of a line that has not ended. */
  get rest(): string {
    return this.#rest
  }

  /** The lines that these bytes end, each with its \n; empty if they end none. */
  push(bytes: Uint8Array): string {
    // A \r at the end may be half of \r\n, so it is looked at again with what follows.
    let text = (this.#rest + this.#decoder.write(Buffer.from(bytes))).replaceAll('\r\n', '\n')
    let cut = text.lastIndexOf('\n') + 1
    while (text.length - cut > MAX_LINE) {
      const piece = text.slice(cut, cut + MAX_LINE)
      const end = cut + Math.max(MAX_LINE / 2, piece.length - this.#heldBack(piece))
      text = `${text.slice(0, end)}\n${text.slice(end)}`
      cut = end + 1
    }
    this.#rest = text.slice(cut)
    return text.slice(0, cut)
  }

  /** What was left when the stream ended, as a line of its own; empty if nothing was. */
  end(): string {
    const text = this.#rest + this.#decoder.end()
    this.#rest = ''
    return text === '' ? '' : `${text}\n`
  }
}
