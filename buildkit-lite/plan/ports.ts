import { SyntaxFault } from '../dockerfile/errors.ts'

const PROTOCOLS = ['tcp', 'udp', 'sctp']
const MAX_PORT = 65_535

/** One word of EXPOSE, `[[ip:]host:]port[-port][/protocol]`, as `80/tcp` for each port; the host's half is dropped. */
export function parsePorts(word: string): string[] {
  const slash = word.lastIndexOf('/')
  const written = slash < 0 ? 'tcp' : word.slice(slash + 1)
  const address = slash < 0 ? word : word.slice(0, slash)
  const range = address.slice(address.lastIndexOf(':') + 1)
  const protocol = written.toLowerCase() || 'tcp'
  if (range === '') throw new SyntaxFault(`no port specified: ${word}`)
  if (!PROTOCOLS.includes(protocol)) throw new SyntaxFault(`invalid proto: ${written}`)
  const { start, end } = readRange(range)
  return Array.from({ length: end - start + 1 }, (_, index) => `${start + index}/${protocol}`)
}

function readRange(text: string): { start: number; end: number } {
  const [start = '', end = start, more] = text.split('-')
  const numbers = { start: Number(start), end: Number(end) }
  const valid = [start, end].every((port) => /^\d+$/.test(port) && Number(port) <= MAX_PORT)
  if (!valid || more !== undefined || numbers.end < numbers.start) {
    throw new SyntaxFault(`invalid containerPort: ${text}`)
  }
  return numbers
}
