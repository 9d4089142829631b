import { setTimeout as sleep } from 'node:timers/promises'
import type { Probe } from '../pod-kinds.ts'
import type { ProbeOutcome } from './probe.ts'

/** A verdict changes only after so many equal outcomes in a row; errors of the probe itself do not count. */
export interface Tally {
  verdict: boolean
  streak: number
  last: boolean | null
}

export function newTally(verdict: boolean): Tally {
  return { verdict, streak: 0, last: null }
}

export function count(tally: Tally, outcome: ProbeOutcome, probe: Probe): Tally {
  if (outcome.kind === 'error') return tally
  const isSuccess = outcome.kind === 'success'
  const streak = tally.last === isSuccess ? tally.streak + 1 : 1
  const threshold = isSuccess ? (probe.successThreshold ?? 1) : (probe.failureThreshold ?? 3)
  return { verdict: streak >= threshold ? isSuccess : tally.verdict, streak, last: isSuccess }
}

export interface ProbeLoop {
  probe: Probe
  /** What holds before the first answer: alive, but not ready and not started. */
  initially: boolean
  /** Unix milliseconds; the initial delay counts from here. */
  containerStartedAtMs: number
  /** Asks faster than the period until the first success: a new pod shall not wait 10 s for its second chance. */
  hurriesFirst: boolean
  ask: (signal: AbortSignal) => Promise<ProbeOutcome>
  /** Told of every failure. */
  onFailure: (message: string) => void
  /** Told of the first verdict that differs, and of every change; true ends the loop. */
  onVerdict: (verdict: boolean) => boolean
}

const HURRIED_PERIOD_MS = 500

/** Probes until a verdict ends it or the signal aborts; never throws. */
export async function runProbeLoop(loop: ProbeLoop, signal: AbortSignal): Promise<void> {
  const { probe } = loop
  const periodMs = (probe.periodSeconds ?? 10) * 1000
  let tally = newTally(loop.initially)
  let hurries = loop.hurriesFirst
  try {
    const firstAtMs = loop.containerStartedAtMs + (probe.initialDelaySeconds ?? 0) * 1000
    await sleep(Math.max(0, firstAtMs - Date.now()), undefined, { signal })
    for (;;) {
      const askedAtMs = Date.now()
      const outcome = await loop.ask(signal)
      signal.throwIfAborted()
      if (outcome.kind === 'failure') loop.onFailure(outcome.message)
      if (outcome.kind === 'success') hurries = false
      const before = tally.verdict
      tally = count(tally, outcome, probe)
      if (tally.verdict !== before && loop.onVerdict(tally.verdict)) return
      // A failed start-up leaves the verdict as it was, but has used up its tries.
      if (!loop.initially && !before && tally.last === false && tally.streak === (probe.failureThreshold ?? 3))
        if (loop.onVerdict(false)) return
      const pauseMs = hurries ? Math.min(HURRIED_PERIOD_MS, periodMs) : periodMs
      await sleep(Math.max(0, askedAtMs + pauseMs - Date.now()), undefined, { signal })
    }
  } catch (error) {
    if (!signal.aborted) throw error
  }
}
