import type { KeyComponent } from '../contract.ts'
import type { CopyOrigin, FileSystem, Operation, Plan, PlanStep, RunMount } from '../plan/plan.ts'
import type { RemoteCopySource } from '../remote/remote-sources.ts'
import { isLinked } from './execute-copy.ts'
import { BASE, PARENT } from './miss-reason.ts'
import { digestContext, digestStep, type FileChoice } from './origins.ts'
import { digestOf } from './step-key.ts'
import type { StepScope } from './step-scope.ts'
import type { BaseImage } from './step-state.ts'

/** What is known of a solved file system when the key of a step on top of it is made. */
export interface InputKeys {
  keyOf(this: void, fileSystem: FileSystem): string
  /** The image that its stage starts from, if it does; part of the key only to tell that it changed. */
  baseOf(this: void, fileSystem: FileSystem): BaseImage | null
  /** The same as `keyOf` for stages that files are read of, where they are not solved. */
  sourceKeyOf?(this: void, fileSystem: FileSystem): string
}

/** Steps that have to be solved before this one. */
export function stepsBefore(step: PlanStep): number[] {
  return [...new Set([...inputsOf(step), ...sourcesOf(step)])]
}

/** The step that this one is made on, if there is one. */
export function inputsOf({ operation }: PlanStep): number[] {
  return operation.kind === 'base' || operation.input === null ? [] : [operation.input]
}

/** Steps whose files this one reads. */
export function sourcesOf({ operation }: PlanStep): number[] {
  const read = filesRead(operation).flatMap(({ from }) => (from.kind === 'step' ? [from.fileSystem] : []))
  return [...new Set(read)].filter((source) => source !== null)
}

/** Whether the step gets files from where only asking tells what they are. */
export function isFromElsewhere(operation: Operation): boolean {
  return remotesOf(operation).length > 0
}

/** Whether the step, or one that has to run because it does, is a RUN with a network. Steps stand behind their inputs. */
export function mayNeedNetwork({ steps }: Plan, from: number): boolean {
  const running = new Set([from])
  for (const [index, step] of steps.entries()) {
    if (index > from && stepsBefore(step).some((before) => running.has(before))) running.add(index)
    const { operation } = step
    if (running.has(index) && operation.kind === 'run' && operation.network === 'default') return true
  }
  return false
}

/**
 * Whether the step reads files of another stage or of a repository, whose content may be the same though the stage ran
 * again, or the commit is another one.
 */
export function hasContentKey(operation: Operation): boolean {
  return (
    filesRead(operation).some(({ from }) => from.kind === 'step') ||
    remotesOf(operation).some((source) => source.kind === 'git' && isByContent(source))
  )
}

/** The files of a commit do not tell what is in its repository, nor its time. */
function isByContent(source: RemoteCopySource): boolean {
  return source.kind === 'git' && !source.keepGitDir && source.mtime === undefined
}

function remotesOf(operation: Operation): RemoteCopySource[] {
  return operation.kind === 'copy' ? operation.sources.filter((one) => one.kind === 'http' || one.kind === 'git') : []
}

/**
 * Digests of all that the step starts from. A stage that files are read of counts by its key, or `byContent` by the
 * files themselves, which then have to be on disk.
 */
export async function inputDigests(
  scope: StepScope,
  operation: Operation,
  { keyOf, baseOf, sourceKeyOf = keyOf, byContent }: InputKeys & { byContent: boolean },
  signal: AbortSignal,
): Promise<KeyComponent[]> {
  const components: KeyComponent[] = []
  if (operation.kind !== 'base' && !(operation.kind === 'copy' && isLinked(operation))) {
    const base = baseOf(operation.input)
    components.push({ name: PARENT, digest: keyOf(operation.input) })
    components.push({ name: BASE + (base?.name ?? ''), digest: base?.lineage ?? '' })
  }
  for (const { from, choice } of filesRead(operation)) {
    if (from.kind === 'context') components.push(...(await digestContext(scope.trees, from, choice, signal)))
    else if (byContent) components.push(...(await digestStep(scope.originOf(from), choice, signal)))
    else {
      const chosen = digestOf([sourceKeyOf(from.fileSystem), choice])
      components.push({ name: 'files of another stage', digest: chosen })
    }
  }
  components.push(...(await remoteDigests(scope, operation, byContent, signal)))
  return components
}

/** What comes from elsewhere, and in which order with the rest. */
async function remoteDigests(
  { remote }: StepScope,
  operation: Operation,
  byContent: boolean,
  signal: AbortSignal,
): Promise<KeyComponent[]> {
  const remotes = remotesOf(operation)
  if (operation.kind !== 'copy' || remotes.length === 0) return []
  const digests = remotes.map(async (source) => {
    return await remote.digests(source, byContent && isByContent(source), signal)
  })
  const order = digestOf(operation.sources.map((source) => source.kind))
  return [{ name: 'order of the sources', digest: order }, ...(await Promise.all(digests)).flat()]
}

function filesRead(operation: Operation): { from: CopyOrigin; choice: FileChoice }[] {
  switch (operation.kind) {
    case 'base':
    case 'workdir':
      return []
    case 'copy': {
      const { from, exclude, parents } = operation
      const sources = operation.sources.flatMap((source) => (source.kind === 'path' ? [source.path] : []))
      return sources.length > 0 ? [{ from, choice: { sources, exclude, parents, countNames: true } }] : []
    }
    case 'run':
      return operation.mounts.flatMap(filesMounted)
    default:
      return operation satisfies never
  }
}

function filesMounted(mount: RunMount): { from: CopyOrigin; choice: FileChoice }[] {
  if (mount.kind !== 'bind' && mount.kind !== 'cache') return []
  if (!mount.from) return []
  const sources = [mount.source ?? '/']
  return [{ from: mount.from, choice: { sources, exclude: [], parents: false, countNames: false } }]
}
