import { splitCsv } from './csv.ts'
import { SyntaxFault, suggest } from './errors.ts'
import { Flags } from './flags.ts'
import type { DeviceRequest, MountOption, RunInstruction } from './instruction.ts'
import { type InstructionParts, readCommandLine } from './instruction-parts.ts'

/** RUN: its flags, its command in shell or exec form, and its here-documents. */
export function readRun(parts: InstructionParts): RunInstruction {
  const flags = new Flags(parts.flags, { mount: 'list', network: 'text', security: 'text', device: 'list' })
  return {
    kind: 'RUN',
    command: readCommandLine(parts.rest),
    heredocs: parts.heredocs,
    mounts: flags.list('mount').map(readMountOptions),
    network: readNetwork(flags.text('network')),
    security: readSecurity(flags.text('security')),
    devices: flags.list('device').map(readDevice),
  }
}

function readSecurity(mode: string | null): RunInstruction['security'] {
  if (mode === null || mode === 'sandbox' || mode === 'insecure') return mode
  throw new SyntaxFault(`security "${mode}" is not valid, expected sandbox or insecure`)
}

const NETWORKS = ['default', 'none', 'host'] as const

function readNetwork(mode: string | null): RunInstruction['network'] {
  const network = NETWORKS.find((known) => known === mode)
  if (network || mode === null) return network ?? null
  throw new SyntaxFault(`invalid network mode "${mode}", expected ${NETWORKS.join(', ')}${suggest(mode, NETWORKS)}`)
}

const EXPANDED_FROM = "'from' doesn't support variable expansion, define alias stage instead"

/** One `--mount`'s fields. A dollar that ends the name begins no variable. */
function readMountOptions(text: string): MountOption[] {
  return splitCsv(text, 'mounts').map((field) => {
    const { key, value } = readField(field)
    if (key === 'from' && value?.slice(0, -1).includes('$')) throw new SyntaxFault(EXPANDED_FROM)
    return { key, value }
  })
}

function readField(field: string): { key: string; value: string | null } {
  const equals = field.indexOf('=')
  if (equals < 0) return { key: field.toLowerCase(), value: null }
  return { key: field.slice(0, equals).toLowerCase(), value: field.slice(equals + 1) }
}

/** `[name=]NAME[,required[=BOOLEAN]]`. A CDI name is `vendor/class=device`: it may have an equals sign itself. */
function readDevice(text: string): DeviceRequest {
  let name = ''
  let required = false
  for (const field of splitCsv(text, 'devices')) {
    const { key, value } = readField(field)
    if (key === 'required') required = value === null || readBoolean(key, value)
    else if (name === '') name = key === 'name' && value !== null ? value : field
    else if (key === 'name') throw new SyntaxFault(`device name already set to ${name}`)
    else if (value === null) throw new SyntaxFault(`invalid field '${field}' must be a key=value pair`)
    else throw new SyntaxFault(`unexpected key '${key}' in '${field}'${suggest(key, ['name', 'required'])}`)
  }
  return { name, required }
}

const TRUE = ['1', 't', 'T', 'TRUE', 'true', 'True']
const FALSE = ['0', 'f', 'F', 'FALSE', 'false', 'False']

function readBoolean(key: string, value: string): boolean {
  if (TRUE.includes(value)) return true
  if (FALSE.includes(value)) return false
  throw new SyntaxFault(`invalid value for ${key}: ${value}, expected true or false`)
}
