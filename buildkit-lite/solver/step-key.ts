import { createHash } from 'node:crypto'
import type { KeyComponent, RunSettings, StepOrigin } from '../contract.ts'
import type { CopyOperation, Operation, Platform, RunMount, RunOperation } from '../plan/plan.ts'

/** Changes whenever the meaning of keys or of what steps make changes, so that old results are not taken for new ones. */
const KEY_VERSION = 'slipway step 1'

/** What a step's result depends on, piece by piece, so that a miss can say what changed. */
export interface StepKey extends StepOrigin {
  key: string
}

export interface KeyContext {
  subject: string
  stage: string
  /** How many steps of its stage come before it. */
  position: number
  platform: Platform
  /** Names (not addresses) that `--add-host` adds. */
  hostNames: readonly string[]
  /** Others of its settings, as bounds of memory and processor, are no part of a key. */
  run: Pick<RunSettings, 'shmSizeBytes' | 'ulimits'>
}

/**
 * The cache key of a step: a pure function of its operation, the keys of the file systems it starts from and the
 * digests of the files it reads.
 */
export function stepKey(operation: Operation, inputs: readonly KeyComponent[], context: KeyContext): StepKey {
  const components = [...operationComponents(operation, context), ...inputs]
  const place = digestOf([context.subject, context.stage, context.position, operation.kind])
  return { key: digestOf([KEY_VERSION, operation.kind, components]), place, components }
}

/**
 * The instructions that a file system was made by, without the files they read: with the layers that came of them it
 * is what steps on top count as their parent, whichever of its keys a step was found by.
 */
export function lineageOf(operation: Operation, parent: string | null, context: KeyContext): string {
  return digestOf([KEY_VERSION, operation.kind, operationComponents(operation, context), parent])
}

/** A digest of a plain value; equal values have equal digests. */
export function digestOf(value: unknown): string {
  return `sha256:${createHash('sha256').update(JSON.stringify(value)).digest('hex')}`
}

function operationComponents(operation: Operation, context: KeyContext): KeyComponent[] {
  switch (operation.kind) {
    case 'base':
      return [{ name: 'base image', digest: digestOf(operation.image.layers.map((layer) => layer.diffId)) }]
    case 'run':
      return runComponents(operation, context)
    case 'copy':
      return copyComponents(operation)
    case 'workdir': {
      const { path, user, timestamp } = operation
      return [{ name: 'WORKDIR', digest: digestOf([path, user, ...(timestamp === undefined ? [] : [timestamp])]) }]
    }
    default:
      return operation satisfies never
  }
}

function runComponents(run: RunOperation, context: KeyContext): KeyComponent[] {
  const proxies = new Set(run.proxyEnv)
  const env = run.env.filter((variable) => !proxies.has(variable.slice(0, variable.indexOf('='))))
  const settings = [
    run.workingDir,
    run.user,
    run.network,
    run.security,
    run.hostname,
    context.platform,
    context.hostNames,
    context.run.shmSizeBytes,
    context.run.ulimits.map(({ name, soft, hard }) => [name, soft, hard]),
  ]
  return [
    { name: 'RUN command', digest: digestOf([run.args, run.scripts]) },
    { name: 'environment', digest: digestOf(env) },
    { name: 'RUN settings', digest: digestOf(settings) },
    { name: 'RUN mounts', digest: digestOf(run.mounts.map(mountDefinition)) },
    ...(run.devices ? [{ name: 'RUN devices', digest: digestOf(run.devices) }] : []),
  ]
}

/** The content of caches and the values of secrets are no part of a key; that of bind mounts comes as an input. */
function mountDefinition(mount: RunMount): unknown {
  switch (mount.kind) {
    case 'bind':
      return [mount.kind, mount.target, mount.readonly]
    case 'cache':
      return cacheDefinition(mount)
    case 'tmpfs':
      return [mount.kind, mount.target, mount.sizeBytes]
    case 'ssh':
      return [mount.kind, mount.id, mount.target, mount.mode, mount.uid, mount.gid]
    case 'secret':
      return [mount.kind, mount.id, mount.target, mount.env, mount.mode, mount.uid, mount.gid]
    default:
      return mount satisfies never
  }
}

/** Which cache it is does not matter, as long as it is said or not said. */
function cacheDefinition(mount: Extract<RunMount, { kind: 'cache' }>): unknown {
  const { target, readonly, isNamed = false, namespace = '' } = mount
  return [mount.kind, target, readonly, isNamed, namespace, mount.mode, mount.uid, mount.gid]
}

/** Sources count by what they hold and their base names, not by the directories they were reached through. */
function copyComponents(copy: CopyOperation): KeyComponent[] {
  const inline = copy.sources.flatMap((source) => (source.kind === 'inline' ? [[source.name, source.content]] : []))
  const settings = [copy.chown, copy.chmod, copy.link, copy.parents, copy.exclude, copy.unpack, copy.from.kind]
  return [
    { name: 'COPY destination', digest: digestOf(copy.destination) },
    { name: 'COPY settings', digest: digestOf(settings) },
    ...(inline.length > 0 ? [{ name: 'heredoc', digest: digestOf(inline) }] : []),
  ]
}
