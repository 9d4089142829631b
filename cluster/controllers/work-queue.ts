import type { Logger } from '#host/log'

const FIRST_RETRY_MS = 5
const LONGEST_RETRY_MS = 30_000

/**
 * Runs `reconcile` for keys that were added: one run per key at a time, a key added meanwhile runs once more. A failed
 * run is tried again, with growing pauses.
 */
export class WorkQueue implements AsyncDisposable {
  readonly #reconcile: (key: string) => Promise<void>
  readonly #log: Logger
  readonly #running = new Map<string, Promise<void>>()
  readonly #again = new Set<string>()
  readonly #failures = new Map<string, number>()
  readonly #timers = new Map<string, { timer: NodeJS.Timeout; atMs: number }>()
  #stopped = false

  constructor(reconcile: (key: string) => Promise<void>, log: Logger) {
    this.#reconcile = reconcile
    this.#log = log
  }

  add(key: string): void {
    if (this.#stopped) return
    if (this.#running.has(key)) {
      this.#again.add(key)
      return
    }
    const run = this.#run(key).finally(() => {
      this.#running.delete(key)
      if (this.#again.delete(key)) this.add(key)
    })
    this.#running.set(key, run)
  }

  /** Adds the key later; the earliest of several times counts. */
  addAfter(key: string, delayMs: number): void {
    const atMs = Date.now() + delayMs
    const waiting = this.#timers.get(key)
    if (this.#stopped || (waiting && waiting.atMs <= atMs)) return
    clearTimeout(waiting?.timer)
    const timer = setTimeout(() => {
      this.#timers.delete(key)
      this.add(key)
    }, delayMs)
    this.#timers.set(key, { timer, atMs })
  }

  async #run(key: string): Promise<void> {
    // Changes that come in one turn are one run.
    await Promise.resolve()
    try {
      if (!this.#stopped) await this.#reconcile(key)
      this.#failures.delete(key)
    } catch (error) {
      const failures = (this.#failures.get(key) ?? 0) + 1
      this.#failures.set(key, failures)
      this.#log.warn({ err: error, key, failures }, 'reconcile failed')
      this.addAfter(key, Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** (failures - 1)))
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true
    for (const { timer } of this.#timers.values()) clearTimeout(timer)
    await Promise.all(this.#running.values())
  }
}
