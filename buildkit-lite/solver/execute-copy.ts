import { SlipwayError } from '#domain/errors'
import type { CopyOperation, WorkdirOperation } from '../plan/plan.ts'
import { type Owner, readAccounts, resolveOwner } from './accounts.ts'
import { cleanPath, toByteString } from './beneath.ts'
import { parseModeChange } from './chmod.ts'
import { copySources } from './copy-sources.ts'
import { createPause, makeDirectories } from './copy-task.ts'
import { createExclusion } from './exclusion.ts'
import { explaining } from './origins.ts'
import type { StepScope } from './step-scope.ts'

/** Copies into the mounted root, which is empty for a linked copy. */
export async function executeCopy(
  scope: StepScope,
  copy: CopyOperation,
  root: string,
  signal: AbortSignal,
): Promise<void> {
  const origin = scope.originOf(copy.from)
  await using opened = await origin.open(signal)
  const task = {
    sys: scope.sys,
    root,
    tree: opened.tree,
    sourceRoot: opened.rootDir,
    keepOwner: copy.from.kind === 'step',
    owner: copy.chown === null ? null : await findOwner(scope, copy.chown, root),
    mode: copy.chmod === null ? null : parseModeChange(copy.chmod),
    exclusion: createExclusion(copy.exclude, copy.parents),
    hardLinks: new Map<string, string>(),
    pause: createPause(signal),
  }
  await explaining(origin, () => copySources(task, copy, signal))
}

/** Whether the copy is made on an empty file system and laid over its input. */
export function isLinked(copy: CopyOperation): boolean {
  // A mode change also concerns directories that are there already.
  return copy.link && copy.chmod === null
}

/** Makes what is missing of a WORKDIR. New directories belong to the user, existing ones stay as they are. */
export function executeWorkdir(_scope: StepScope, workdir: WorkdirOperation, root: string): void {
  const owner = workdir.user === '' ? null : resolveOwner(workdir.user, readAccounts(root), () => 0)
  makeDirectories({ root, owner, mode: null }, cleanPath(toByteString(workdir.path)))
}

/** Unknown names are root's, as other builders have it, but we say so; without any names at all they are mistakes. */
async function findOwner(scope: StepScope, chown: string, root: string): Promise<Owner> {
  const accounts = readAccounts(root)
  const warnings: string[] = []
  const owner = resolveOwner(chown, accounts, (message) => {
    if (!accounts.passwd && !accounts.group) throw new SlipwayError('step-failed', `--chown=${chown}: ${message}`)
    warnings.push(`--chown=${chown}: ${message}, root is taken instead\n`)
    return 0
  })
  for (const warning of warnings) await scope.note(warning)
  return owner
}
