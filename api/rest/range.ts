/** An inclusive range of bytes. */
export interface ByteRange {
  first: number
  last: number
}

/** Reads a single-range `Range` header; null where there is none to honour. https://www.rfc-editor.org/rfc/rfc9110#name-range */
export function readRange(header: string | undefined, sizeBytes: number): ByteRange | 'unsatisfiable' | null {
  const [, from = '', to = ''] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? '') ?? []
  if (from === '' && to === '') return null
  if (from === '') {
    const suffixBytes = Math.min(Number(to), sizeBytes)
    return suffixBytes === 0 ? 'unsatisfiable' : { first: sizeBytes - suffixBytes, last: sizeBytes - 1 }
  }
  const first = Number(from)
  if (to !== '' && Number(to) < first) return null
  if (first >= sizeBytes) return 'unsatisfiable'
  return { first, last: to === '' ? sizeBytes - 1 : Math.min(Number(to), sizeBytes - 1) }
}
