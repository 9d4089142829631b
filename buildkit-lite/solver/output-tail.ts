import { StringDecoder } from 'node:string_decoder'

const MAX_LINES = 20
const MAX_LINE_CHARACTERS = 2000

/** Remembers the last lines of what a program prints, for its error; both its streams in the order they came. */
export class OutputTail {
  readonly #lines: string[] = []
  readonly #open = new Map<string, { decoder: StringDecoder; text: string }>()

  add(stream: string, bytes: Buffer): void {
    const open = this.#open.get(stream) ?? { decoder: new StringDecoder('utf8'), text: '' }
    this.#open.set(stream, open)
    // Of a long piece only its end can be among the last lines.
    const recent = bytes.subarray(-MAX_LINES * MAX_LINE_CHARACTERS)
    if (recent.length < bytes.length) open.text = ''
    const lines = (open.text + open.decoder.write(recent)).split('\n')
    open.text = (lines.pop() ?? '').slice(-MAX_LINE_CHARACTERS)
    this.#keep(lines)
  }

  /** Called once, when nothing more comes. */
  end(): readonly string[] {
    this.#keep([...this.#open.values()].map(({ text }) => text).filter(Boolean))
    this.#open.clear()
    return this.#lines
  }

  #keep(lines: readonly string[]): void {
    const kept = lines.slice(-MAX_LINES).map((line) => line.replace(/\r$/, '').slice(0, MAX_LINE_CHARACTERS))
    this.#lines.push(...kept)
    this.#lines.splice(0, this.#lines.length - MAX_LINES)
  }
}
