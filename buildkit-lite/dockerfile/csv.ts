import { SyntaxFault } from './errors.ts'

/** The fields of one line of CSV: a field that begins with a double quote goes to the next one alone. */
export function splitCsv(text: string, what: string): string[] {
  const fields: string[] = []
  for (let at = 0; at <= text.length; ) {
    const { field, end } = text.charAt(at) === '"' ? takeQuoted(text, at, what) : takePlain(text, at, what)
    fields.push(field)
    at = end + 1
  }
  return fields
}

function takePlain(text: string, start: number, what: string): { field: string; end: number } {
  const comma = text.indexOf(',', start)
  const end = comma < 0 ? text.length : comma
  const field = text.slice(start, end)
  if (field.includes('"')) throw new SyntaxFault(`failed to parse csv ${what}: bare " in non-quoted field ${field}`)
  return { field, end }
}

function takeQuoted(text: string, start: number, what: string): { field: string; end: number } {
  const pieces: string[] = []
  for (let at = start + 1; ; ) {
    const quote = text.indexOf('"', at)
    if (quote < 0) throw new SyntaxFault(`failed to parse csv ${what}: extraneous or missing " in quoted field`)
    pieces.push(text.slice(at, quote))
    const next = text.charAt(quote + 1)
    if (next === '' || next === ',') return { field: pieces.join(''), end: quote + 1 }
    // Two quotes are one in the text.
    if (next !== '"') throw new SyntaxFault(`failed to parse csv ${what}: extraneous or missing " in quoted field`)
    pieces.push('"')
    at = quote + 2
  }
}
