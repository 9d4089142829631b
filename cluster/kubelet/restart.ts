/** How a container was last seen. */
export type LastSeen =
  | { kind: 'never-started' }
  | { kind: 'created' }
  | { kind: 'unknown' }
  | { kind: 'running' }
  | { kind: 'exited'; exitCode: number }

/** Whether a container is (re)started. https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy */
export function shouldRestart(policy: 'Always' | 'OnFailure' | 'Never', seen: LastSeen, isDeleting: boolean): boolean {
  if (isDeleting) return false
  switch (seen.kind) {
    case 'running':
      return false
    case 'never-started':
    case 'created':
    case 'unknown':
      return true
    case 'exited':
      return policy === 'Always' || (policy === 'OnFailure' && seen.exitCode !== 0)
    default:
      return seen satisfies never
  }
}

const FIRST_DELAY_MS = 10_000
const MAX_DELAY_MS = 300_000
/** A container that ran longer than this starts with a clean slate. */
const FORGIVEN_AFTER_MS = 2 * MAX_DELAY_MS

/** What is remembered between two tries: how long to wait next, and since when. */
export interface Backoff {
  delayMs: number
  sinceMs: number
}

/** The pause after an end at `endedAtMs`: none at first, then 10 s doubling to 300 s. */
export function backoffDelayMs(backoff: Backoff | null, endedAtMs: number): number {
  return backoff && endedAtMs - backoff.sinceMs <= FORGIVEN_AFTER_MS ? backoff.delayMs : 0
}

/** What to remember when the next try starts at `nowMs`. */
export function advanceBackoff(backoff: Backoff | null, endedAtMs: number, nowMs: number): Backoff {
  const delayMs = backoffDelayMs(backoff, endedAtMs)
  return { delayMs: delayMs === 0 ? FIRST_DELAY_MS : Math.min(MAX_DELAY_MS, delayMs * 2), sinceMs: nowMs }
}

/** As Go prints durations: `10s`, `1m20s`, `5m0s`. */
export function formatDelay(delayMs: number): string {
  const seconds = Math.round(delayMs / 1000)
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`
}
