import { createWriteStream, mkdirSync, renameSync, statSync, type WriteStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname } from 'node:path'

const LIMIT_BYTES = 10 * 1024 * 1024

/** A child's output: appended to a file that is moved aside once, as `NAME.1`, when it has grown to 10 MiB. */
export class LogFile {
  readonly path: string
  #stream: WriteStream
  #sizeBytes: number

  constructor(path: string) {
    mkdirSync(dirname(path), { recursive: true })
    this.path = path
    this.#sizeBytes = statSync(path, { throwIfNoEntry: false })?.size ?? 0
    this.#stream = createWriteStream(path, { flags: 'a', mode: 0o600 })
  }

  write(chunk: Uint8Array): void {
    if (this.#sizeBytes > LIMIT_BYTES) {
      this.#stream.end()
      renameSync(this.path, `${this.path}.1`)
      this.#stream = createWriteStream(this.path, { flags: 'a', mode: 0o600 })
      this.#sizeBytes = 0
    }
    this.#sizeBytes += chunk.length
    this.#stream.write(chunk)
  }

  /** The last lines, for an error message. */
  async tail(lines: number): Promise<string> {
    const text = await readFile(this.path, 'utf8').catch(() => '')
    return text.trimEnd().split('\n').slice(-lines).join('\n')
  }
}
