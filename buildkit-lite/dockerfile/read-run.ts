import { SyntaxFault } from './errors.ts'
import { Flags } from './flags.ts'
import type { MountOption, RunInstruction } from './instruction.ts'
import { type InstructionParts, readCommandLine } from './instruction-parts.ts'

/** RUN: its flags, its command in shell or exec form, and its here-documents. */
export function readRun(parts: InstructionParts): RunInstruction {
  const flags = new Flags(parts.flags, { mount: 'list', network: 'text', security: 'text' })
  const security = flags.text('security')
  return {
    kind: 'RUN',
    command: readCommandLine(parts.rest),
    heredocs: parts.heredocs,
    mounts: flags.list('mount').map(readMountOptions),
    network: readNetwork(flags.text('network')),
    security: readSecurity(flags.text('security')),
  }
}

function readSecurity(mode: string | null): RunInstruction['security'] {
  if (mode === null || mode === 'sandbox' || mode === 'insecure') return mode
  throw new SyntaxFault(`security "${mode}" is not valid`)
}

function readNetwork(mode: string | null): RunInstruction['network'] {
  if (mode === null || mode === 'default' || mode === 'none' || mode === 'host') return mode
  throw new SyntaxFault(`invalid network mode "${mode}"`)
}

const EXPANDED_FROM = "'from' doesn't support variable expansion, define alias stage instead"

/** One `--mount`'s fields: comma-separated, with CSV's double quotes. */
function readMountOptions(text: string): MountOption[] {
  return splitCsv(text).map((field) => {
    const equals = field.indexOf('=')
    const key = (equals < 0 ? field : field.slice(0, equals)).toLowerCase()
    const value = equals < 0 ? null : field.slice(equals + 1)
    if (key === 'from' && value?.includes('$')) throw new SyntaxFault(EXPANDED_FROM)
    return { key, value }
  })
}

function splitCsv(text: string): string[] {
  const fields: string[] = []
  let field = ''
  let quoted = false
  for (const character of text) {
    if (character === '"') quoted = !quoted
    else if (character === ',' && !quoted) {
      fields.push(field)
      field = ''
    } else field += character
  }
  return [...fields, field]
}
