import { writeFileSync } from 'node:fs'
import { SlipwayError } from '#domain/errors'
import type { CopyOperation, CopySource } from '../plan/plan.ts'
import {
  type InnerPath,
  joinInner,
  nameOf,
  onDisk,
  resolveBeneath,
  statBeneath,
  toByteString,
  toText,
} from './beneath.ts'
import { changeMode } from './chmod.ts'
import { copyContents, copyDirectory, copyLeaf, takeTime } from './copy-entry.ts'
import { type CopyTask, makeDirectories, placeFor, setAttributes } from './copy-task.ts'
import { openArchive } from './detect-archive.ts'
import { type Selected, selectSource } from './select-sources.ts'
import { unpackArchive } from './unpack-archive.ts'

const INLINE_MODE = 0o644

/** Carries out a COPY or ADD: every source, in order, into the task's root. */
export async function copySources(task: CopyTask, operation: CopyOperation, signal: AbortSignal): Promise<void> {
  const destination = toByteString(operation.destination)
  for (const source of operation.sources) {
    await task.pause()
    if (source.kind === 'inline') writeInline(task, source, destination)
    else if (source.kind === 'path') {
      const { parents } = operation
      const matches = selectSource(task.tree, toByteString(source.path), { parents, exclusion: task.exclusion })
      if (parents) makeDirectories(task, destination)
      for (const selected of matches) await copySelected(task, operation, selected, signal)
    }
  }
}

async function copySelected(
  task: CopyTask,
  operation: CopyOperation,
  selected: Selected,
  signal: AbortSignal,
): Promise<void> {
  const destination = toByteString(operation.destination)
  if (operation.parents) return await copyWithParents(task, selected, destination)
  if (selected.entry.kind === 'directory') return await copyInto(task, selected.path, destination)
  if (operation.unpack !== 'never' && selected.entry.kind === 'file') {
    const archive = await openArchive(onDisk(task.sourceRoot, selected.path))
    if (archive) return await unpackArchive(task, archive, makeDirectories(taskForArchive(task), destination), signal)
  }
  await copyLeaf(task, selected, placeFor(task, destination, selected.name))
}

/** A directory stands for its content. One that is there keeps its mode and owner, and takes the time. */
async function copyInto(task: CopyTask, from: InnerPath, destination: string): Promise<void> {
  const place = resolveBeneath(task.root, destination)
  if (statBeneath(task.root, place)?.isDirectory() === false)
    throw new SlipwayError('step-failed', `cannot copy to non-directory: ${toText(place)}`)
  const to = makeDirectories(task, destination)
  await copyContents(task, from, to)
  takeTime(task, from, to)
}

async function copyWithParents(task: CopyTask, selected: Selected, destination: string): Promise<void> {
  let to = resolveBeneath(task.root, destination)
  for (const parent of selected.parents) {
    to = joinInner(to, nameOf(parent))
    const entry = task.tree.lookUp(parent)
    if (entry) copyDirectory(task, parent, entry, to)
  }
  const target = joinInner(to, nameOf(selected.path))
  if (selected.entry.kind !== 'directory') return await copyLeaf(task, selected, target)
  copyDirectory(task, selected.path, selected.entry, target)
  await copyContents(task, selected.path, target)
}

function writeInline(task: CopyTask, source: Extract<CopySource, { kind: 'inline' }>, destination: string): void {
  const to = placeFor(task, destination, toByteString(source.name))
  const path = statBeneath(task.root, to)?.isSymbolicLink() ? resolveBeneath(task.root, to) : to
  writeFileSync(onDisk(task.root, path), source.content)
  const mode = task.mode ? changeMode(task.mode, INLINE_MODE, false) : INLINE_MODE
  setAttributes(task.root, path, { owner: task.owner ?? { uid: 0, gid: 0 }, mode })
}

/** `--chmod` is not for what comes out of an archive, nor for the directory made for it. */
function taskForArchive(task: CopyTask): CopyTask {
  return { ...task, mode: null }
}
