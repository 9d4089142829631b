import { posix } from 'node:path'
import { SyntaxFault } from '../dockerfile/errors.ts'
import type { MountOption, RunInstruction } from '../dockerfile/instruction.ts'
import {
  booleanOf,
  type Fields,
  idOf,
  isReadonly,
  modeOf,
  readFields,
  sharingOf,
  sizeOf,
  typeOf,
} from './mount-fields.ts'
import type { CopyOrigin, RunMount } from './plan.ts'
import type { Turn } from './stage-builder.ts'

/** What the `--mount` flags of a RUN ask for. */
export interface PlannedMounts {
  /** Parents come before their children. */
  mounts: readonly RunMount[]
  /** The first agent's socket, for SSH_AUTH_SOCK; null where there is none. */
  agentSocket: string | null
}

/** Expands and checks the `--mount` flags. */
export function planMounts(turn: Turn, instruction: RunInstruction): PlannedMounts {
  const mounts: RunMount[] = []
  for (const options of instruction.mounts) mounts.push(planMount(turn, options, mounts))
  const targets = mounts.flatMap((mount) => (mount.target === null ? [] : [mount.target]))
  const seen = new Set<string>()
  const twice = targets.find((target) => seen.size === seen.add(target).size)
  if (twice !== undefined) throw new SyntaxFault(`two mounts have the same target "${twice}"`)
  const agentSocket = mounts.find(({ kind }) => kind === 'ssh')?.target ?? null
  return { mounts: mounts.toSorted((a, b) => depth(a.target) - depth(b.target)), agentSocket }
}

function depth(target: string | null): number {
  return target === null ? 0 : target.split('/').length
}

function planMount(turn: Turn, options: readonly MountOption[], before: readonly RunMount[]): RunMount {
  const fields = readFields(options, (text) => turn.expander.word(text))
  const type = typeOf(fields)
  switch (type) {
    case 'bind':
      return {
        kind: 'bind',
        from: originOf(turn, fields) ?? { kind: 'context', name: null },
        source: cleanSource(fields.get('source')),
        target: targetOf(turn, fields),
        readonly: isReadonly(fields) ?? true,
      }
    case 'cache':
      return planCacheMount(turn, fields)
    case 'tmpfs':
      return { kind: 'tmpfs', target: targetOf(turn, fields), sizeBytes: sizeOf(fields) }
    case 'secret':
      return planSecretMount(turn, fields)
    case 'ssh':
      return planSshMount(turn, fields, before)
    default:
      return type satisfies never
  }
}

function planCacheMount(turn: Turn, fields: Fields): RunMount {
  const target = targetOf(turn, fields)
  const from = originOf(turn, fields)
  const source = cleanSource(fields.get('source'))
  const namespace = turn.context.buildArgs['BUILDKIT_CACHE_MOUNT_NS']
  const isOwned = source === '/' && ['mode', 'uid', 'gid'].some((key) => fields.has(key))
  return {
    kind: 'cache',
    // As written: a relative target is the same cache in every working directory.
    id: fields.get('id') || cleanPath(fields.get('target') ?? target),
    target,
    sharing: sharingOf(fields.get('sharing')),
    readonly: isReadonly(fields) ?? false,
    mode: modeOf(fields, 0o755),
    uid: idOf(fields, 'uid'),
    gid: idOf(fields, 'gid'),
    ...(fields.get('id') ? { isNamed: true as const } : {}),
    ...(isOwned ? { isOwned: true as const } : {}),
    ...(namespace ? { namespace } : {}),
    ...(from ? { from, source } : {}),
  }
}

function planSecretMount(turn: Turn, fields: Fields): RunMount {
  if (fields.get('source') && fields.get('id')) throw new SyntaxFault("both source and id can't be set")
  const env = fields.get('env') ?? null
  const target = fields.get('target')
  const id = fields.get('id') || fields.get('source') || (target ? posix.basename(target) : '')
  if (id === '') throw new SyntaxFault('invalid secret mount. one of source, target required')
  const file = target || env === null ? resolveTarget(turn, target || `/run/secrets/${posix.basename(id)}`) : null
  return {
    kind: 'secret',
    id,
    target: file,
    env,
    required: booleanOf(fields, 'required') ?? false,
    mode: modeOf(fields, 0o400),
    uid: idOf(fields, 'uid'),
    gid: idOf(fields, 'gid'),
  }
}

/** Sockets without a target are numbered among all of their RUN. */
function planSshMount(turn: Turn, fields: Fields, before: readonly RunMount[]): RunMount {
  const number = before.filter(({ kind }) => kind === 'ssh').length
  return {
    kind: 'ssh',
    id: fields.get('id') || 'default',
    target: resolveTarget(turn, fields.get('target') || `/run/buildkit/ssh_agent.${number}`),
    required: booleanOf(fields, 'required') ?? false,
    mode: modeOf(fields, 0o600),
    uid: idOf(fields, 'uid'),
    gid: idOf(fields, 'gid'),
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
  if (path === '/') throw new SyntaxFault('invalid mount target "/"')
  return path
}

/** A path beneath the origin's root; `/` is the root itself. */
function cleanSource(source: string | undefined): string {
  return posix.resolve('/', source ?? '/')
}

function cleanPath(path: string): string {
  const clean = posix.normalize(path)
  return clean.length > 1 ? clean.replace(/\/$/, '') : clean
}
