import { useEffect, useState } from 'react'
import { formatDuration } from './format.ts'

const relative = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto' })
const UNITS = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1000],
] as const

/** "5 minutes ago", with the full time on hover; redrawn once a minute. */
export function TimeAgo({ atMs }: { atMs: number }) {
  const nowMs = useNow(60_000, true)
  const passedMs = atMs - nowMs
  const [unit, unitMs] = UNITS.find(([, size]) => Math.abs(passedMs) >= size) ?? UNITS[3]
  return (
    <time dateTime={new Date(atMs).toISOString()} title={new Date(atMs).toLocaleString()}>
      {relative.format(Math.round(passedMs / unitMs), unit)}
    </time>
  )
}

/** A duration that runs on while `endMs` is null. */
export function Duration({ startMs, endMs }: { startMs: number | null; endMs: number | null }) {
  const nowMs = useNow(200, startMs !== null && endMs === null)
  if (startMs === null) return <span className="muted">–</span>
  return <span className="number">{formatDuration((endMs ?? nowMs) - startMs)}</span>
}

function useNow(everyMs: number, isRunning: boolean): number {
  const [nowMs, setNowMs] = useState(Date.now)
  useEffect(() => {
    if (!isRunning) return
    setNowMs(Date.now())
    const timer = setInterval(() => setNowMs(Date.now()), everyMs)
    return () => clearInterval(timer)
  }, [everyMs, isRunning])
  return nowMs
}
