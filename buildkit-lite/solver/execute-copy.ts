import { SlipwayError } from '#domain/errors'
import type { CopyOperation, WorkdirOperation } from '../plan/plan.ts'
import { type Owner, readAccounts, resolveOwner } from './accounts.ts'
import { cleanPath, toByteString, toText } from './beneath.ts'
import { parseModeChange } from './chmod.ts'
import { copySources } from './copy-sources.ts'
import { createPause, makeDirectories } from './copy-task.ts'
import { createExclusion } from './exclusion.ts'
import { treeOfEntries } from './file-tree.ts'
import { explaining, type OpenOrigin } from './origins.ts'
import { plainFiles } from './source-files.ts'
import type { StepScope } from './step-scope.ts'

/** Copies into the mounted root, which is empty for a linked copy. */
export async function executeCopy(
  scope: StepScope,
  copy: CopyOperation,
  root: string,
  signal: AbortSignal,
): Promise<void> {
  const origin = scope.originOf(copy.from)
  // What comes from elsewhere alone needs no context on disk.
  const sources = copy.sources.flatMap((source) => (source.kind === 'path' ? [source.path] : []))
  const choice = { sources, exclude: copy.exclude, parents: copy.parents, countNames: true }
  await using opened = sources.length > 0 ? await origin.open(signal, choice) : EMPTY_ORIGIN
  for (const remark of opened.remarks ?? []) await scope.note(remark)
  const task = {
    sys: scope.sys,
    root,
    tree: opened.tree,
    files: opened.files,
    keepOwner: copy.from.kind === 'step',
    owner: copy.chown === null ? null : await findOwner(scope, copy, root),
    mode: copy.chmod === null ? null : parseModeChange(copy.chmod),
    exclusion: createExclusion(copy.exclude),
    hardLinks: new Map<string, string>(),
    pause: createPause(signal),
    onChanged: (path: string) => void scope.changedInputs.add(toText(path)),
  }
  await explaining(origin, () => copySources(task, copy, scope.remote, signal))
  const [changed, ...more] = scope.changedInputs
  if (changed === undefined) return
  const others = more.length > 0 ? ` and ${more.length} more` : ''
  await scope.note(`"${changed}"${others} changed while the build ran, so this step is not cached\n`)
}

const EMPTY_ORIGIN: OpenOrigin = {
  rootDir: '/nonexistent',
  tree: treeOfEntries([]),
  files: plainFiles('/nonexistent'),
  [Symbol.asyncDispose]: async () => {},
}

/** Whether the copy is made on an empty file system and laid over its input. */
export function isLinked(copy: CopyOperation): boolean {
  // A mode change also concerns directories that are there already.
  return copy.link && copy.chmod === null
}

/** Makes what is missing of a WORKDIR. New directories belong to the user, existing ones stay as they are. */
export function executeWorkdir(_scope: StepScope, workdir: WorkdirOperation, root: string): void {
  const owner = workdir.user === '' ? null : resolveOwner(workdir.user, readAccounts(root), () => 0)
  const { timestamp } = workdir
  const time = timestamp === undefined ? {} : { madeAtMs: timestamp * 1000 }
  makeDirectories({ root, owner, mode: null, ...time }, cleanPath(toByteString(workdir.path)))
}

/** Unknown names are root's, as other builders have it, but we say so; where no file system can know any, they are mistakes. */
async function findOwner(scope: StepScope, copy: CopyOperation, root: string): Promise<Owner> {
  const chown = copy.chown ?? ''
  const hasNames = copy.input !== null && !isLinked(copy)
  const warnings: string[] = []
  const owner = resolveOwner(chown, readAccounts(root), (message) => {
    if (!hasNames) {
      const why = copy.input === null ? 'the stage is empty' : 'with --link files are copied to an empty file system'
      throw new SlipwayError('step-failed', `invalid user index: -1: --chown=${chown}: ${why}, so use numbers`)
    }
    warnings.push(`--chown=${chown}: ${message}, root is taken instead\n`)
    return 0
  })
  for (const warning of warnings) await scope.note(warning)
  return owner
}
