import { randomBytes } from 'node:crypto'

/** A new id: prefix, milliseconds since 1970 in base 36, and 80 random bits. Ids of one kind sort by time. */
export function newId(prefix: string, nowMs = Date.now()): string {
  const time = nowMs.toString(36).padStart(9, '0')
  const random = BigInt(`0x${randomBytes(10).toString('hex')}`)
    .toString(36)
    .padStart(16, '0')
  return `${prefix}_${time}${random}`
}
