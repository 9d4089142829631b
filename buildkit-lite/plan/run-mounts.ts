import { posix } from 'node:path'
import { SyntaxFault, suggest } from '../dockerfile/errors.ts'
import type { MountOption, RunInstruction } from '../dockerfile/instruction.ts'
import type { CopyOrigin, RunMount } from './plan.ts'
import type { Turn } from './stage-builder.ts'

/** The `--mount` flags of a RUN, expanded and checked; parents come before their children. */
export function planMounts(turn: Turn, instruction: RunInstruction): RunMount[] {
  const mounts = instruction.mounts.map((options) => planMount(turn, options))
  const targets = mounts.flatMap((mount) => (mount.target === null ? [] : [mount.target]))
  const twice = targets.find((target, index) => targets.indexOf(target) !== index)
  if (twice !== undefined) throw new SyntaxFault(`two mounts have the same target "${twice}"`)
  return mounts.sort((a, b) => depth(a.target) - depth(b.target))
}

function depth(target: string | null): number {
  return target === null ? 0 : target.split('/').length
}

/** The fields of one mount by their long names. */
type Fields = ReadonlyMap<string, string>

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
const TYPES = ['bind', 'cache', 'tmpfs', 'secret', 'ssh']

/** Keys that only some types have; the others' messages name the type. */
const ONLY: Readonly<Record<string, readonly string[]>> = {
  sharing: ['cache'],
  size: ['tmpfs'],
  required: ['secret', 'ssh'],
  mode: ['cache', 'secret', 'ssh'],
  uid: ['cache', 'secret', 'ssh'],
  gid: ['cache', 'secret', 'ssh'],
}

function planMount(turn: Turn, options: readonly MountOption[]): RunMount {
  const fields = readFields(turn, options)
  const type = fields.get('type') ?? 'bind'
  switch (type) {
    case 'bind':
      return {
        kind: 'bind',
        from: originOf(turn, fields) ?? { kind: 'context', name: null },
        source: cleanSource(fields.get('source')),
        target: targetOf(turn, fields),
        readonly: !isOn(fields, 'readwrite'),
      }
    case 'cache':
      return planCacheMount(turn, fields)
    case 'tmpfs':
      return { kind: 'tmpfs', target: targetOf(turn, fields), sizeBytes: sizeOf(fields.get('size')) }
    case 'secret':
      return planSecretMount(turn, fields)
    default:
      throw new SyntaxFault(`mount type "${type}" is not supported`)
  }
}

function readFields(turn: Turn, options: readonly MountOption[]): Fields {
  const fields = new Map<string, string>()
  for (const { key: written, value } of options) {
    const key = ALIASES[written] ?? written
    if (value === null && !BOOLEAN.includes(key)) {
      throw new SyntaxFault(`invalid field '${written}' must be a key=value pair`)
    }
    if (!ALL_KEYS.includes(key)) {
      throw new SyntaxFault(`unexpected key '${written}' in '${written}=${value}'${suggest(written, ALL_KEYS)}`)
    }
    const expanded = key === 'from' ? (value ?? '') : turn.expander.word(value ?? 'true')
    if (key === 'type' && !TYPES.includes(expanded.toLowerCase())) {
      throw new SyntaxFault(`unsupported mount type "${expanded}"${suggest(expanded, TYPES)}`)
    }
    checkKey(key, fields.get('type') ?? 'bind')
    fields.set(key, key === 'type' ? expanded.toLowerCase() : expanded)
  }
  return fields
}

function checkKey(key: string, type: string): void {
  const types = ONLY[key]
  if (!types || types.includes(type)) return
  const early = key === 'size' || key === 'required'
  throw new SyntaxFault(
    early ? `unexpected key '${key}' for mount type '${type}'` : `${key} not allowed for "${type}" type mounts`,
  )
}

function planCacheMount(turn: Turn, fields: Fields): RunMount {
  const target = targetOf(turn, fields)
  const from = originOf(turn, fields)
  return {
    kind: 'cache',
    id: fields.get('id') || target,
    target,
    sharing: sharingOf(fields.get('sharing')),
    readonly: isOn(fields, 'readonly'),
    mode: modeOf(fields.get('mode'), 0o755),
    uid: numberOf('uid', fields.get('uid')),
    gid: numberOf('gid', fields.get('gid')),
    ...(from ? { from, source: cleanSource(fields.get('source')) } : {}),
  }
}

function planSecretMount(turn: Turn, fields: Fields): RunMount {
  if (fields.has('from')) throw new SyntaxFault('secret mount should not have a from')
  if (fields.has('source') && fields.has('id')) throw new SyntaxFault("both source and id can't be set")
  const env = fields.get('env') ?? null
  const target = fields.get('target')
  const id = fields.get('id') || fields.get('source') || (target ? posix.basename(target) : '')
  if (id === '') throw new SyntaxFault('one of source, target required')
  const file = target || env === null ? resolveTarget(turn, target || `/run/secrets/${posix.basename(id)}`) : null
  return {
    kind: 'secret',
    id,
    target: file,
    env,
    required: isOn(fields, 'required'),
    mode: modeOf(fields.get('mode'), 0o400),
    uid: numberOf('uid', fields.get('uid')),
    gid: numberOf('gid', fields.get('gid')),
  }
}

function originOf(turn: Turn, fields: Fields): CopyOrigin | null {
  const from = fields.get('from')
  return from ? turn.context.originOf(turn.context.findFrom(from, turn.stage, false)) : null
}

function targetOf(turn: Turn, fields: Fields): string {
  return resolveTarget(turn, fields.get('target') ?? '')
}

function resolveTarget(turn: Turn, target: string): string {
  const path = posix.resolve('/', turn.state.config.WorkingDir || '/', target)
  if (target === '' || path === '/') throw new SyntaxFault(`invalid mount target "${target}"`)
  return path
}

/** A path beneath the origin's root; `/` is the root itself. */
function cleanSource(source: string | undefined): string {
  return posix.resolve('/', source ?? '/')
}

function sharingOf(text = 'shared'): 'shared' | 'private' | 'locked' {
  if (text === 'shared' || text === 'private' || text === 'locked') return text
  throw new SyntaxFault(`unsupported sharing value "${text}"${suggest(text, ['shared', 'private', 'locked'])}`)
}

function isOn(fields: Fields, key: string): boolean {
  const value = fields.get(key)?.toLowerCase() ?? 'false'
  if (value === 'true' || value === '1' || value === 'false' || value === '0') return value === 'true' || value === '1'
  throw new SyntaxFault(`invalid value for ${key}: ${value}`)
}

function modeOf(text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback
  if (/^[0-7]+$/.test(text)) return Number.parseInt(text, 8)
  throw new SyntaxFault(`invalid value ${text} for mode`)
}

function numberOf(key: string, text = '0'): number {
  if (/^\d+$/.test(text)) return Number(text)
  throw new SyntaxFault(`invalid value ${text} for ${key}`)
}

const UNITS: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 }

function sizeOf(text: string | undefined): number | null {
  if (text === undefined) return null
  const match = /^(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?$/i.exec(text)
  const unit = UNITS[match?.[2]?.toLowerCase() ?? '']
  if (!match || unit === undefined) throw new SyntaxFault(`invalid value for size: ${text}`)
  return Math.floor(Number(match[1]) * unit)
}
