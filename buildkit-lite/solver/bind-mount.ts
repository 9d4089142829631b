import { SlipwayError } from '#domain/errors'
import type { SnapshotKey } from '#sandbox'
import type { RunMount } from '../plan/plan.ts'
import {
  cleanPath,
  type InnerPath,
  onDisk,
  resolveBeneath,
  resolveIn,
  statBeneath,
  toByteString,
  toText,
} from './beneath.ts'
import { copyContents, copyLeaf } from './copy-entry.ts'
import { type CopyTask, createPause, makeDirectories } from './copy-task.ts'
import { digestFiles } from './file-digests.ts'
import { NO_EXCLUSION } from './file-tree.ts'
import { materialise } from './layer-files.ts'
import { explaining, type OpenOrigin } from './origins.ts'
import type { Prepared } from './run-mounts.ts'
import { MissingSourceError, selectSource } from './select-sources.ts'
import { digestOf } from './step-key.ts'
import type { StepScope } from './step-scope.ts'

/** Not the root itself: the source may be a single file. */
const PLACE = '/context'
const PLAIN = { parents: false, exclusion: NO_EXCLUSION }

type BindMount = Extract<RunMount, { kind: 'bind' }>

/** `--mount=type=bind`: a context's or stage's files; what is written to them is thrown away. */
export async function mountBind(
  scope: StepScope,
  stack: AsyncDisposableStack,
  mount: BindMount,
  signal: AbortSignal,
): Promise<Prepared> {
  const { key, path } = await placeSource(scope, mount, signal)
  const rootDir = await openRoot(scope, stack, key, mount.readonly)
  const real = resolveBeneath(rootDir, path)
  const stats = statBeneath(rootDir, real)
  if (!stats) throw new SlipwayError('context-invalid', `"${toText(cleanPath(path))}": not found`)
  const source = onDisk(rootDir, real).toString('utf8')
  return {
    mount: { kind: 'bind', source: real === '/' ? rootDir : source, target: mount.target, readonly: mount.readonly },
    pointKind: stats.isDirectory() ? 'directory' : 'file',
  }
}

/** The snapshot that holds the source, and where in it. */
async function placeSource(
  scope: StepScope,
  { from, source }: BindMount,
  signal: AbortSignal,
): Promise<{ key: SnapshotKey | null; path: InnerPath }> {
  const path = cleanPath(toByteString(source))
  if (from.kind === 'step') return { key: await materialise(scope.tools, scope.chainOf(from.fileSystem), signal), path }
  return await snapshotContext(scope, { from, path }, signal)
}

async function openRoot(
  { tools }: StepScope,
  stack: AsyncDisposableStack,
  ...[key, readonly]: [SnapshotKey | null, boolean]
): Promise<string> {
  if (readonly) return stack.use(await tools.snapshots.view(key)).rootDir
  return await stack.use(await tools.snapshots.prepare(key)).mount({ mountPoints: false })
}

/** A context's files as a snapshot of their own: without what is ignored, owned by root, and kept by content. */
async function snapshotContext(
  scope: StepScope,
  { from, path }: { from: Extract<BindMount['from'], { kind: 'context' }>; path: InnerPath },
  signal: AbortSignal,
): Promise<{ key: SnapshotKey; path: InnerPath }> {
  const { tools } = scope
  const origin = scope.originOf(from)
  const tree = await scope.trees.treeOf(scope.trees.contextOf(from.name), signal)
  const real = resolveIn((inner) => tree.lookUp(inner), path)
  const selected = await explaining(origin, () => selectSource(tree, escapePattern(real), PLAIN)[0])
  if (!selected) throw new MissingSourceError(path, tree)
  const digests = await digestFiles(
    { tree, rootDir: null, countOwners: false, exclusion: NO_EXCLUSION },
    [selected],
    signal,
  )
  const key = digestOf(['context in a directory', digests])
  const isDirectory = selected.entry.kind === 'directory'
  await tools.sharedWork.share(
    `snapshot ${key}`,
    async (signal) => {
      if (await tools.snapshots.has(key)) return
      const choice = { sources: [escapePattern(real)], exclude: [], parents: false, countNames: true }
      await using opened = await origin.open(signal, choice)
      await using snapshot = await tools.snapshots.prepare(null)
      const task = contextTask(scope, await snapshot.mount({ mountPoints: false }), opened, signal)
      if (isDirectory) await copyContents(task, real, makeDirectories(task, PLACE))
      else await copyLeaf(task, selected, PLACE)
      await snapshot.commit(key)
    },
    signal,
  )
  return { key, path: PLACE }
}

function contextTask(scope: StepScope, root: string, opened: OpenOrigin, signal: AbortSignal): CopyTask {
  return {
    sys: scope.sys,
    root,
    tree: opened.tree,
    files: opened.files,
    keepOwner: false,
    owner: null,
    mode: null,
    exclusion: NO_EXCLUSION,
    hardLinks: new Map(),
    pause: createPause(signal),
  }
}

function escapePattern(path: InnerPath): string {
  return path.replace(/[*?[\\]/g, '[$&]').replaceAll('[\\]', '\\\\')
}
