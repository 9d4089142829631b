import { SlipwayError } from '#domain/errors'

/** Counts by name within a window of time: refused webhooks by sender and hook, triggers by project. */
export class CountLimit {
  #windowEndsAtMs = 0
  readonly #counts = new Map<string, number>()
  readonly #rule: { windowMs: number; max: number; what: string }

  constructor(rule: { windowMs: number; max: number; what: string }) {
    this.#rule = rule
  }

  /** Fails with kind `too-many-requests` while the name is over the limit. */
  check(name: string, nowMs: number): void {
    this.#turn(nowMs)
    const { max, what, windowMs } = this.#rule
    if ((this.#counts.get(name) ?? 0) >= max)
      throw new SlipwayError('too-many-requests', `${what}: more than ${max} in ${windowMs / 1000} s, try again later`)
  }

  count(name: string, nowMs: number): void {
    this.#turn(nowMs)
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1)
  }

  /** A new window forgets all, which also keeps the table small. */
  #turn(nowMs: number): void {
    if (nowMs < this.#windowEndsAtMs) return
    this.#windowEndsAtMs = nowMs + this.#rule.windowMs
    this.#counts.clear()
  }
}
