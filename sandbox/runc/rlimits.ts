import { SlipwayError } from '#domain/errors'
import type { ResourceLimit } from '../contract.ts'

/** Of setrlimit(2), without `RLIMIT_`. */
const NAMES = new Set(
  'as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack'.split(' '),
)

/** RLIM_INFINITY, which no number of JavaScript is: only as text does it reach JSON whole. */
const UNLIMITED = '18446744073709551615'

/** TypeScript does not know it yet, https://github.com/tc39/proposal-json-parse-with-source */
const { rawJSON } = JSON as unknown as { rawJSON(this: void, text: string): unknown }

/** The `rlimits` of the runtime specification; of two with one name the later one counts. */
export function rlimitsOf(limits: readonly ResourceLimit[]) {
  const byName = new Map(limits.map((limit) => [limit.name, limit]))
  return [...byName.values()].map(({ name, soft, hard }) => {
    if (!NAMES.has(name)) throw new SlipwayError('invalid', `invalid ulimit type: ${name}`)
    return { type: `RLIMIT_${name.toUpperCase()}`, soft: valueOf(soft), hard: valueOf(hard) }
  })
}

function valueOf(value: number): unknown {
  return value < 0 ? rawJSON(UNLIMITED) : value
}
