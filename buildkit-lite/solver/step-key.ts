import { createHash } from 'node:crypto'
import type { KeyComponent, RunSettings, StepOrigin } from '../contract.ts'
import type { CopyOperation, Operation, Platform, RunMount, RunOperation } from '../plan/plan.ts'
import { BASE, ORDER } from './miss-reason.ts'

/** Changes whenever the meaning of keys or of what steps make changes, so that old results are not taken for new ones. */
const KEY_VERSION = 'slipway step 2'

/** What a step's result depends on, piece by piece, so that a miss can say what changed. */
export interface StepKey extends StepOrigin {
  key: string
}

export interface KeyContext {
  subject: string
  stage: string
  /** How many steps of its kind come before it in its stage. */
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
  return {
    key: digestOf([KEY_VERSION, operation.kind, components.map(keyPart)]),
    place,
    components,
    stage: context.stage,
  }
}

/**
 * The instructions that a file system was made by, without the files they read: with the layers that came of them it
 * is what steps on top count as their parent, whichever of its keys a step was found by.
 */
export function lineageOf(operation: Operation, parent: string | null, context: KeyContext): string {
  return digestOf([KEY_VERSION, operation.kind, operationComponents(operation, context).map(keyPart), parent])
}

/** What a variable was declared by, and what a base image is called, is for people. */
function keyPart({ name, digest }: KeyComponent): [name: string, digest: string] {
  return [name.startsWith(BASE) ? BASE : name.replace(/^ARG /, 'ENV '), digest]
}

/** A digest of a plain value; equal values have equal digests. */
export function digestOf(value: unknown): string {
  return `sha256:${createHash('sha256').update(JSON.stringify(value)).digest('hex')}`
}

function operationComponents(operation: Operation, context: KeyContext): KeyComponent[] {
  switch (operation.kind) {
    case 'base':
      return [{ name: BASE, digest: digestOf(operation.image.layers.map((layer) => layer.diffId)) }]
    case 'run':
      return runComponents(operation, context)
    case 'copy':
      return copyComponents(operation)
    case 'workdir': {
      const { path, user, timestamp } = operation
      return components({ WORKDIR: path, USER: user, SOURCE_DATE_EPOCH: timestamp })
    }
    default:
      return operation satisfies never
  }
}

function runComponents(run: RunOperation, context: KeyContext): KeyComponent[] {
  const proxies = new Set(run.proxyEnv)
  const env = run.env.filter((variable) => !proxies.has(nameOf(variable)))
  const { shmSizeBytes, ulimits } = context.run
  return [
    ...components({
      'RUN command': [run.args.at(-1), run.scripts],
      'shell or program of RUN': run.args.slice(0, -1),
      USER: run.user,
      WORKDIR: run.workingDir,
      '--network': run.network,
      '--security': run.security,
      hostname: run.hostname,
      platform: context.platform,
      '--add-host': context.hostNames.length > 0 ? context.hostNames : undefined,
      '--shm-size': shmSizeBytes ?? undefined,
      '--ulimit': ulimits.length > 0 ? ulimits.map(({ name, soft, hard }) => [name, soft, hard]) : undefined,
      '--device': run.devices,
    }),
    ...run.mounts.map((mount) => ({ name: mountName(mount), digest: digestOf(mountDefinition(mount)) })),
    ...env.map((variable) => ({ name: variableName(run, variable), digest: digestOf(variable) })),
    ...components({
      [`${ORDER}mounts`]: run.mounts.length > 1 ? run.mounts.map(mountName) : undefined,
      [`${ORDER}variables`]: env.length > 1 ? env.map(nameOf) : undefined,
    }),
  ]
}

/** One component for each value that is there. */
function components(values: Readonly<Record<string, unknown>>): KeyComponent[] {
  return Object.entries(values).flatMap(([name, value]) =>
    value === undefined ? [] : [{ name, digest: digestOf(value) }],
  )
}

function nameOf(variable: string): string {
  return variable.slice(0, variable.indexOf('='))
}

function variableName({ argNames = [] }: RunOperation, variable: string): string {
  const name = nameOf(variable)
  return `${argNames.includes(name) ? 'ARG' : 'ENV'} ${name}`
}

function mountName(mount: RunMount): string {
  const place = mount.target ?? ('env' in mount && mount.env !== null ? `$${mount.env}` : '')
  return `--mount type=${mount.kind} of ${place}`
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
  const inline = copy.sources.flatMap((source) => (source.kind === 'inline' ? [source] : []))
  return [
    ...components({
      destination: copy.destination,
      '--chown': copy.chown ?? undefined,
      '--chmod': copy.chmod ?? undefined,
      '--link': copy.link || undefined,
      '--parents': copy.parents || undefined,
      '--exclude': copy.exclude.length > 0 ? copy.exclude : undefined,
      'unpacking of archives': copy.unpack,
      '--from': copy.from.kind,
    }),
    ...inline.map(({ name, content }) => ({ name: `heredoc ${name}`, digest: digestOf([name, content]) })),
  ]
}
