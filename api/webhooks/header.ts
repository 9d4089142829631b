import type { IncomingHttpHeaders } from 'node:http'

/** A header's one value; a repeated or empty header is no value. */
export function header(headers: IncomingHttpHeaders, name: string): string | null {
  const value = headers[name]
  return typeof value === 'string' && value !== '' ? value : null
}

/** The first of several headers that has a value. */
export function firstHeader(headers: IncomingHttpHeaders, names: readonly string[]): string | null {
  for (const name of names) {
    const value = header(headers, name)
    if (value !== null) return value
  }
  return null
}
