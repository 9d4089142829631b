import type { Readable } from 'node:stream'

export interface CgiHead {
  status: number
  headers: Record<string, string>
}

const MAX_HEAD_BYTES = 16 * 1024

/** Reads the header lines of a CGI answer and leaves the stream at its body; null where it ends before them. */
export async function readCgiHead(stdout: Readable): Promise<CgiHead | null> {
  let read = Buffer.alloc(0)
  for await (const chunk of stdout.iterator({ destroyOnReturn: false })) {
    read = Buffer.concat([read, chunk])
    const end = read.indexOf('\r\n\r\n')
    if (end < 0 && read.length < MAX_HEAD_BYTES) continue
    if (end < 0) return null
    const rest = read.subarray(end + 4)
    if (rest.length > 0) stdout.unshift(rest)
    return parseHead(read.subarray(0, end).toString('latin1'))
  }
  return null
}

function parseHead(text: string): CgiHead {
  const headers: Record<string, string> = {}
  for (const line of text.split('\r\n')) {
    const colon = line.indexOf(':')
    if (colon > 0) headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim()
  }
  const { status = '200', ...others } = headers
  return { status: Number.parseInt(status, 10) || 500, headers: others }
}
