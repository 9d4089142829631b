import { isIP } from 'node:net'
import { SyntaxFault } from '../dockerfile/errors.ts'

const PROTOCOLS = ['tcp', 'udp', 'sctp']
const MAX_PORT = 65_535

interface Range {
  start: number
  end: number
}

/** One word of EXPOSE, `[[ip:]host:]port[-port][/protocol]`, as `80/tcp` for each port; the host's half is dropped. */
export function parsePorts(word: string): string[] {
  const parts = word.split(':')
  const own = parts.at(-1) ?? ''
  const slash = own.indexOf('/')
  const range = slash < 0 ? own : own.slice(0, slash)
  const protocol = (slash < 0 ? '' : own.slice(slash + 1)).toLowerCase() || 'tcp'
  if (range === '') throw new SyntaxFault(`no port specified: ${word}`)
  if (!PROTOCOLS.includes(protocol))
    throw new SyntaxFault(`invalid proto: ${protocol}, expected ${PROTOCOLS.join(', ')}`)
  checkAddress(parts.slice(0, -2).join(':'))
  const ports = readRange(range) ?? invalid('containerPort', range)
  checkHostPorts(parts.at(-2) ?? '', { ports, range })
  return Array.from({ length: ports.end - ports.start + 1 }, (_, index) => `${ports.start + index}/${protocol}`)
}

function checkAddress(ip: string): void {
  const bare = /^\[(.*)\]$/.exec(ip)?.[1] ?? ip
  if (ip !== '' && isIP(bare) === 0) invalid('IP address', ip)
}

/** The host's ports mean nothing in an image, but they have to fit. */
function checkHostPorts(text: string, { ports, range }: { ports: Range; range: string }): void {
  if (text === '') return
  const host = readRange(text) ?? invalid('hostPort', text)
  const count = ports.end - ports.start
  if (count !== 0 && count !== host.end - host.start) {
    throw new SyntaxFault(`invalid ranges specified for container and host Ports: ${range} and ${text}`)
  }
}

function readRange(text: string): Range | null {
  const [start = '', end = start, more] = text.split('-')
  const range = { start: Number(start), end: Number(end) }
  const valid = [start, end].every((port) => /^\+?\d+$/.test(port) && Number(port) <= MAX_PORT)
  return valid && more === undefined && range.end >= range.start ? range : null
}

function invalid(what: string, text: string): never {
  const expected = what.endsWith('Port') ? `, expected a number up to ${MAX_PORT} or a range` : ''
  throw new SyntaxFault(`invalid ${what}: ${text}${expected}`)
}
