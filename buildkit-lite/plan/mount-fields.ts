import { SyntaxFault, suggest } from '../dockerfile/errors.ts'
import type { MountOption } from '../dockerfile/instruction.ts'

/** The fields of one mount by their long names, expanded. */
export type Fields = ReadonlyMap<string, string>

export type MountType = (typeof TYPES)[number]

const TYPES = ['bind', 'cache', 'tmpfs', 'secret', 'ssh'] as const
const ALIASES: Readonly<Record<string, string>> = {
  src: 'source',
  dst: 'target',
  destination: 'target',
  ro: 'readonly',
  rw: 'readwrite',
}
const BOOLEAN = ['readonly', 'readwrite', 'required']
const KEYS = ['type', 'from', 'source', 'target', 'readonly', 'readwrite', 'id', 'sharing', 'required', 'size']
const ALL_KEYS = [...KEYS, 'mode', 'uid', 'gid', 'env', ...Object.keys(ALIASES)]

/** These are judged by the type that stands before them; everything else by the type of the whole mount. */
const AFTER_TYPE: Readonly<Record<string, readonly string[]>> = { size: ['tmpfs'], required: ['secret', 'ssh'] }
const WITH_OWNER = ['cache', 'secret', 'ssh']

/** Expands and checks the fields of one `--mount`. */
export function readFields(options: readonly MountOption[], expand: (text: string) => string): Fields {
  const fields = new Map<string, string>()
  for (const { key: written, value } of options) {
    const key = ALIASES[written] ?? written
    checkPlace(key, fields)
    if (value === null && !BOOLEAN.includes(key))
      throw new SyntaxFault(`invalid field '${written}' must be a key=value pair`)
    if (!ALL_KEYS.includes(key))
      throw new SyntaxFault(`unexpected key '${written}' in '${written}=${value}'${suggest(written, ALL_KEYS)}`)
    fields.set(key, key === 'from' ? (value ?? '') : valueOf(key, expand(value ?? 'true')))
    // Of two that say the opposite the later one counts.
    if (key === 'readonly') fields.delete('readwrite')
    if (key === 'readwrite') fields.delete('readonly')
  }
  checkTogether(fields)
  return fields
}

export function typeOf(fields: Fields): MountType {
  return TYPES.find((type) => type === fields.get('type')) ?? 'bind'
}

function valueOf(key: string, value: string): string {
  if (key !== 'type') return value
  const type = value.toLowerCase()
  if (TYPES.some((known) => known === type)) return type
  throw new SyntaxFault(`unsupported mount type "${value}"${suggest(value, TYPES)}`)
}

function checkPlace(key: string, fields: Fields): void {
  const type = typeOf(fields)
  const types = Object.hasOwn(AFTER_TYPE, key) ? AFTER_TYPE[key] : undefined
  if (types && !types.includes(type)) throw new SyntaxFault(`unexpected key '${key}' for mount type '${type}'`)
}

function checkTogether(fields: Fields): void {
  const type = typeOf(fields)
  const owner = ['mode', 'uid', 'gid'].find((key) => fields.has(key))
  if (owner && !WITH_OWNER.includes(type)) throw new SyntaxFault(`${owner} not allowed for "${type}" type mounts`)
  if (type === 'secret' && fields.has('from')) throw new SyntaxFault('secret mount should not have a from')
  if (type === 'secret' && fields.has('sharing')) throw new SyntaxFault('secret mount should not define sharing')
  if (fields.has('sharing') && type !== 'cache') throw new SyntaxFault(`invalid cache sharing set for ${type} mount`)
  if (type === 'ssh' && fields.has('source')) throw new SyntaxFault('ssh does not support source')
}

const SHARING = ['shared', 'private', 'locked'] as const

export function sharingOf(text = 'shared'): (typeof SHARING)[number] {
  const found = SHARING.find((sharing) => sharing === text.toLowerCase())
  if (found) return found
  throw new SyntaxFault(`unsupported sharing value "${text}"${suggest(text, SHARING)}`)
}

const BOOLEANS = new Map(
  ['1', 't', 'T', 'TRUE', 'true', 'True']
    .map((text): [string, boolean] => [text, true])
    .concat(['0', 'f', 'F', 'FALSE', 'false', 'False'].map((text) => [text, false])),
)

/** Null where the field was not given. */
export function booleanOf(fields: Fields, key: string): boolean | null {
  const text = fields.get(key)
  if (text === undefined) return null
  const value = BOOLEANS.get(text)
  if (value === undefined) throw new SyntaxFault(`invalid value for ${key}: ${text}`)
  return value
}

/** What it says of writing; null where it says nothing. */
export function isReadonly(fields: Fields): boolean | null {
  const writable = booleanOf(fields, 'readwrite')
  return writable === null ? booleanOf(fields, 'readonly') : !writable
}

export function modeOf(fields: Fields, fallback: number): number {
  const text = fields.get('mode')
  if (text === undefined) return fallback
  const mode = /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : null
  if (mode !== null && mode <= 0o7777) return mode
  throw new SyntaxFault(`invalid value ${text} for mode`)
}

const MAX_ID = 2 ** 32 - 2

export function idOf(fields: Fields, key: 'uid' | 'gid'): number {
  const text = fields.get(key) ?? '0'
  if (/^\d+$/.test(text) && Number(text) <= MAX_ID) return Number(text)
  throw new SyntaxFault(`invalid value ${text} for ${key}`)
}

const UNITS: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40, p: 2 ** 50 }

export function sizeOf(fields: Fields): number | null {
  const text = fields.get('size')
  if (text === undefined) return null
  const match = /^(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?$/i.exec(text)
  const unit = UNITS[match?.[2]?.toLowerCase() ?? '']
  if (!match || unit === undefined) throw new SyntaxFault(`invalid value for size: ${text}`)
  return Math.floor(Number(match[1]) * unit)
}
