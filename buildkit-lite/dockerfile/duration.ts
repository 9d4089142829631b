import { SyntaxFault } from './errors.ts'

const UNITS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
}

/** `1m30s`, as Go writes durations, in nanoseconds. */
export function parseDuration(text: string): number {
  const body = text.replace(/^[+-]/, '')
  const sign = text.startsWith('-') ? -1 : 1
  if (body === '0') return 0
  if (!/^(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/.test(body)) {
    throw new SyntaxFault(`time: invalid duration "${text}", expected a number with a unit, as 30s or 1m30s`)
  }
  let total = 0
  for (const [, amount, unit] of body.matchAll(/([\d.]+)([^\d.]+)/g)) total += Number(amount) * (UNITS[unit ?? ''] ?? 0)
  return sign * Math.round(total)
}

/** Nanoseconds as Go prints them: `5m0s`, `1.5s`, `200ms`, `0s`. */
export function formatDuration(nanoseconds: number): string {
  if (nanoseconds === 0) return '0s'
  if (nanoseconds < 1e3) return `${nanoseconds}ns`
  if (nanoseconds < 1e6) return `${nanoseconds / 1e3}µs`
  if (nanoseconds < 1e9) return `${nanoseconds / 1e6}ms`
  const hours = Math.floor(nanoseconds / 3600e9)
  const minutes = Math.floor((nanoseconds % 3600e9) / 60e9)
  const seconds = `${(nanoseconds % 60e9) / 1e9}s`
  if (hours > 0) return `${hours}h${minutes}m${seconds}`
  return minutes > 0 ? `${minutes}m${seconds}` : seconds
}
