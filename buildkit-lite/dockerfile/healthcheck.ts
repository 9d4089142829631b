import { parseDuration } from './duration.ts'
import { SyntaxFault } from './errors.ts'
import { Flags } from './flags.ts'
import type { HealthcheckInstruction } from './instruction.ts'
import { type InstructionParts, readCommandLine } from './instruction-parts.ts'
import { cutAtBlank } from './words.ts'

/** HEALTHCHECK NONE, whose flags mean nothing, or HEALTHCHECK [flags] CMD …. */
export function readHealthcheck(parts: InstructionParts): HealthcheckInstruction {
  const [written, command] = cutAtBlank(parts.rest)
  const type = written.toUpperCase()
  if (type === '') throw new SyntaxFault('HEALTHCHECK requires at least one argument, CMD or NONE')
  if (type === 'NONE') return readNone(command)
  const flags = new Flags(parts.flags, FLAGS)
  if (type !== 'CMD') throw new SyntaxFault(`Unknown type "${type}" in HEALTHCHECK (try CMD)`)
  const test = readCommandLine(command)
  if (command === '' || (test.form === 'exec' && test.args.length === 0)) {
    throw new SyntaxFault('Missing command after HEALTHCHECK CMD')
  }
  return {
    kind: 'HEALTHCHECK',
    test,
    interval: readInterval('interval', flags),
    timeout: readInterval('timeout', flags),
    startPeriod: readInterval('start-period', flags),
    startInterval: readInterval('start-interval', flags),
    retries: readRetries(flags.text('retries')),
  }
}

const FLAGS = {
  interval: 'text',
  timeout: 'text',
  'start-period': 'text',
  'start-interval': 'text',
  retries: 'text',
} as const

function readNone(command: string): HealthcheckInstruction {
  if (command !== '') throw new SyntaxFault('HEALTHCHECK NONE takes no arguments')
  const times = { interval: 0, timeout: 0, startPeriod: 0, startInterval: 0 }
  return { kind: 'HEALTHCHECK', test: 'none', ...times, retries: 0 }
}

const MILLISECOND = 1e6

function readInterval(name: string, flags: Flags): number {
  const text = flags.text(name)
  if (text === null || text === '') return 0
  const value = parseDuration(text)
  if (value !== 0 && value < MILLISECOND) throw new SyntaxFault(`Interval "${name}" cannot be less than 1ms`)
  return value
}

const MAX_RETRIES = 2 ** 31 - 1

function readRetries(text: string | null): number {
  if (text === null || text === '') return 0
  const value = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN
  if (value < 0) throw new SyntaxFault(`--retries cannot be negative (${value})`)
  if (value <= MAX_RETRIES) return value
  throw new SyntaxFault(`--retries must be a whole number up to ${MAX_RETRIES}, got "${text}"`)
}
