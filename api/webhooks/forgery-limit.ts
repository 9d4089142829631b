import { SlipwayError } from '#domain/errors'

const WINDOW_MS = 1000
const MAX_REFUSED = 50

/** Counts refused webhooks by sender and hook. Beyond the limit they are turned away unread; authentic ones never count. */
export class ForgeryLimit {
  #windowEndsAtMs = 0
  readonly #refused = new Map<string, number>()

  /** Fails with kind `too-many-requests` while the sender is over the limit. */
  check(sender: string, nowMs: number): void {
    this.#turn(nowMs)
    if ((this.#refused.get(sender) ?? 0) >= MAX_REFUSED)
      throw new SlipwayError(
        'too-many-requests',
        `More than ${MAX_REFUSED} requests in a second were refused, try again later`,
      )
  }

  count(sender: string, nowMs: number): void {
    this.#turn(nowMs)
    this.#refused.set(sender, (this.#refused.get(sender) ?? 0) + 1)
  }

  /** A new window forgets all, which also keeps the table small. */
  #turn(nowMs: number): void {
    if (nowMs < this.#windowEndsAtMs) return
    this.#windowEndsAtMs = nowMs + WINDOW_MS
    this.#refused.clear()
  }
}
