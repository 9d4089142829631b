import { setTimeout as sleep } from 'node:timers/promises'

export interface Backoff {
  /** Tries in all, the first included. */
  attempts: number
  firstDelayMs: number
  maxDelayMs: number
  /** Whether this error is worth another try. */
  retryable: (error: unknown) => boolean
}

/** Tries again with doubling, jittered pauses until it works, the error is final, or the tries are used up. */
export async function retry<T>(
  work: (attempt: number) => Promise<T>,
  backoff: Backoff,
  signal: AbortSignal,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted()
    try {
      return await work(attempt)
    } catch (error) {
      if (signal.aborted || attempt >= backoff.attempts || !backoff.retryable(error)) throw error
      const delayMs = Math.min(backoff.maxDelayMs, backoff.firstDelayMs * 2 ** (attempt - 1))
      await sleep(delayMs * (0.5 + Math.random() / 2), undefined, { signal })
    }
  }
}
