const MINUTE = 60
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const YEAR = 365 * DAY

/** How long ago a time was, in kubectl's short words: `90s`, `5m10s`, `3h`, `2d4h`. */
export function age(at: string | undefined, nowMs = Date.now()): string {
  if (!at) return '<unknown>'
  const seconds = Math.floor((nowMs - Date.parse(at)) / 1000)
  if (Number.isNaN(seconds)) return '<unknown>'
  if (seconds < -1) return '<invalid>'
  if (seconds < 0) return '0s'
  return duration(seconds)
}

function duration(seconds: number): string {
  const minutes = Math.floor(seconds / MINUTE)
  const hours = Math.floor(seconds / HOUR)
  const days = Math.floor(seconds / DAY)
  const years = Math.floor(seconds / YEAR)
  const two = (large: string, rest: number, unit: string) => (rest === 0 ? large : `${large}${rest}${unit}`)
  if (seconds < 2 * MINUTE) return `${seconds}s`
  if (minutes < 10) return two(`${minutes}m`, seconds % MINUTE, 's')
  if (minutes < 3 * 60) return `${minutes}m`
  if (hours < 8) return two(`${hours}h`, minutes % 60, 'm')
  if (hours < 48) return `${hours}h`
  if (days < 8) return two(`${days}d`, hours % 24, 'h')
  if (days < 2 * 365) return `${days}d`
  if (years < 8) return two(`${years}y`, days % 365, 'd')
  return `${years}y`
}
