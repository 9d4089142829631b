import { closeSync, mkdirSync, openSync, renameSync, statSync, writeSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname } from 'node:path'

const LIMIT_BYTES = 10 * 1024 * 1024

/**
 * A child's output: appended to a file that is moved aside once, as `NAME.1`, when it has grown to 10 MiB. What is
 * written is in the file at once; what does not fit on the disk is lost, for a full disk must not end the supervisor.
 */
export class LogFile implements Disposable {
  readonly path: string
  readonly #limitBytes: number
  #fd: number | null
  #sizeBytes: number

  constructor(path: string, limitBytes: number = LIMIT_BYTES) {
    mkdirSync(dirname(path), { recursive: true })
    this.path = path
    this.#limitBytes = limitBytes
    this.#sizeBytes = statSync(path, { throwIfNoEntry: false })?.size ?? 0
    this.#fd = openSync(path, 'a', 0o600)
  }

  write(chunk: Uint8Array): void {
    try {
      if (this.#sizeBytes >= this.#limitBytes) this.#rotate()
      if (this.#fd !== null) this.#sizeBytes += writeSync(this.#fd, chunk)
    } catch {
      // There is nobody else to tell.
    }
  }

  /** The last lines, for an error message. */
  async tail(lines: number): Promise<string> {
    const text = await readFile(this.path, 'utf8').catch(() => '')
    return text.trimEnd().split('\n').slice(-lines).join('\n')
  }

  [Symbol.dispose](): void {
    if (this.#fd !== null) closeSync(this.#fd)
    this.#fd = null
  }

  #rotate(): void {
    if (this.#fd === null) return
    renameSync(this.path, `${this.path}.1`)
    const fd = openSync(this.path, 'a', 0o600)
    closeSync(this.#fd)
    this.#fd = fd
    this.#sizeBytes = 0
  }
}
