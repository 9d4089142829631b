import { parseDuration } from './duration.ts'
import { SyntaxFault } from './errors.ts'
import { Flags } from './flags.ts'
import type { HealthcheckInstruction } from './instruction.ts'
import { type InstructionParts, readCommandLine } from './instruction-parts.ts'
import { cutAtBlank } from './words.ts'

/** HEALTHCHECK NONE, or HEALTHCHECK [flags] CMD …. */
export function readHealthcheck(parts: InstructionParts): HealthcheckInstruction {
  const flags = new Flags(parts.flags, {
    interval: 'text',
    timeout: 'text',
    'start-period': 'text',
    'start-interval': 'text',
    retries: 'text',
  })
  return {
    kind: 'HEALTHCHECK',
    test: readTest(parts.rest),
    interval: readInterval('interval', flags),
    timeout: readInterval('timeout', flags),
    startPeriod: readInterval('start-period', flags),
    startInterval: readInterval('start-interval', flags),
    retries: readRetries(flags.text('retries')),
  }
}

function readTest(rest: string): HealthcheckInstruction['test'] {
  const [type, command] = cutAtBlank(rest)
  if (type === '') throw new SyntaxFault('HEALTHCHECK requires at least one argument')
  switch (type.toUpperCase()) {
    case 'NONE':
      if (command.trim() !== '') throw new SyntaxFault('HEALTHCHECK NONE takes no arguments')
      return 'none'
    case 'CMD':
      if (command.trim() === '') throw new SyntaxFault('Missing command after HEALTHCHECK CMD')
      return readCommandLine(command.trim())
    default:
      throw new SyntaxFault(`Unknown type "${type.toUpperCase()}" in HEALTHCHECK (try CMD)`)
  }
}

const MILLISECOND = 1e6

function readInterval(name: string, flags: Flags): number {
  const text = flags.text(name)
  if (text === null) return 0
  const value = parseDuration(text)
  if (value !== 0 && value < MILLISECOND) throw new SyntaxFault(`Interval "${name}" cannot be less than 1ms`)
  return value
}

function readRetries(text: string | null): number {
  if (text === null) return 0
  if (!/^[+-]?\d+$/.test(text)) throw new SyntaxFault(`--retries must be a whole number, got "${text}"`)
  const value = Number(text)
  if (value < 0) throw new SyntaxFault(`--retries cannot be negative (${value})`)
  return value
}
