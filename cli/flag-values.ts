import { environmentValue } from '#host/config'
import { UsageError } from './exit-codes.ts'

/** `NAME=value` pairs; a name alone has the environment's value, or is left out where there is none. */
export function readPairs(flag: string, pairs: readonly string[]): Record<string, string> {
  const read: Record<string, string> = {}
  for (const pair of pairs) {
    const equals = pair.indexOf('=')
    const name = equals < 0 ? pair : pair.slice(0, equals)
    if (name === '') throw new UsageError(`${flag} "${pair}" has no name`)
    const value = equals >= 0 ? pair.slice(equals + 1) : flag === '--build-arg' ? environmentValue(name) : ''
    if (value !== undefined) read[name] = value
  }
  return read
}

/** `a=b,c=d` as an object; a field that has a comma stands in double quotes, as in a line of CSV. */
export function readFields(text: string): Record<string, string> {
  return Object.fromEntries(
    splitFields(text).map((field) => {
      const equals = field.indexOf('=')
      return equals < 0 ? [field, ''] : [field.slice(0, equals).trim(), field.slice(equals + 1)]
    }),
  )
}

/** The fields of one line of CSV (RFC 4180); a quote inside quotes is doubled. */
export function splitFields(text: string): string[] {
  const fields = text.match(/(?:"(?:[^"]|"")*"|[^,])+/g) ?? []
  return fields.map((field) =>
    /^".*"$/s.test(field) ? field.slice(1, -1).replaceAll('""', '"') : field.replace(/"((?:[^"]|"")*)"/g, '$1'),
  )
}

/** Values that may be repeated, and separated by commas. */
export function splitList(values: readonly string[]): string[] {
  return values
    .flatMap((value) => value.split(','))
    .map((value) => value.trim())
    .filter((value) => value !== '')
}

const UNITS: Readonly<Record<string, number>> = { '': 1, b: 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 }

/** A size such as `64m`, `1.5g`, `512kb`, `2GiB` or a number of bytes. */
export function readBytes(flag: string, text: string): number {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?) ?([bkmgt]?)(?:i?b)?$/i.exec(text.trim()) ?? []
  const factor = UNITS[unit.toLowerCase()]
  if (number === undefined || factor === undefined)
    throw new UsageError(`${flag} "${text}" is no size: expected a number with a unit b, k, m or g, such as 64m`)
  const bytes = Math.floor(Number(number) * factor)
  if (!Number.isSafeInteger(bytes)) throw new UsageError(`${flag} "${text}" is too large`)
  return bytes
}

/** `true`, `false` and the other spellings of both that flags know; null is neither. */
export function readBoolean(text: string): boolean | null {
  if (/^(?:1|t|true)$/i.test(text)) return true
  return /^(?:0|f|false)$/i.test(text) ? false : null
}
