import { closeSync, writeFileSync } from 'node:fs'
import { SlipwayError } from '#domain/errors'
import type { CopyOperation, CopySource } from '../plan/plan.ts'
import type { RemoteCopySource, RemoteSources } from '../remote/remote-sources.ts'
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
import { copyContents, copyDirectory, copyLeaf, makeRoom, takeTime } from './copy-entry.ts'
import { type CopyTask, makeDirectories, placeFor, setAttributes } from './copy-task.ts'
import { endAtLast, openArchive } from './detect-archive.ts'
import { type Selected, selectSource } from './select-sources.ts'
import { openFile } from './source-files.ts'
import { unpackArchive } from './unpack-archive.ts'

const INLINE_MODE = 0o644

/** Carries out a COPY or ADD: every source, in order, into the task's root. */
export async function copySources(
  task: CopyTask,
  operation: CopyOperation,
  remote: Pick<RemoteSources, 'open'>,
  signal: AbortSignal,
): Promise<void> {
  for (const source of operation.sources) {
    await task.pause()
    // Names of one file are kept together within one source only.
    const own = { ...task, hardLinks: new Map<string, InnerPath>() }
    switch (source.kind) {
      case 'inline':
        writeInline(own, source, toByteString(operation.destination))
        break
      case 'path':
        await copyPath(own, operation, source.path, signal)
        break
      case 'http':
      case 'git':
        await copyRemote(own, operation, { source, remote }, signal)
        break
      default:
        source satisfies never
    }
  }
}

async function copyPath(task: CopyTask, operation: CopyOperation, path: string, signal: AbortSignal): Promise<void> {
  const { parents } = operation
  const matches = selectSource(task.tree, toByteString(path), { parents, exclusion: task.exclusion })
  if (parents) return await copyWithParents(task, matches, makeDirectories(task, toByteString(operation.destination)))
  const unpacks = operation.unpack !== 'never'
  for (const selected of matches) {
    task.hardLinks.clear()
    await copySelected(task, selected, { destination: toByteString(operation.destination), unpacks }, signal)
  }
}

/** A downloaded file, or a repository's directory, which stands for its content. */
async function copyRemote(
  task: CopyTask,
  operation: CopyOperation,
  { source, remote }: { source: RemoteCopySource; remote: Pick<RemoteSources, 'open'> },
  signal: AbortSignal,
): Promise<void> {
  await using opened = await remote.open(source, signal)
  const { tree, files, selected } = opened
  const own = { ...task, keepOwner: false, tree, files }
  if (opened.modifiedAtMs !== null) own.modifiedAtMs = opened.modifiedAtMs
  const unpacks = source.kind === 'http' && operation.unpack === 'always'
  await copySelected(own, selected, { destination: toByteString(operation.destination), unpacks }, signal)
}

async function copySelected(
  task: CopyTask,
  selected: Selected,
  { destination, unpacks }: { destination: string; unpacks: boolean },
  signal: AbortSignal,
): Promise<void> {
  if (selected.entry.kind === 'directory') return await copyInto(task, selected.path, destination)
  if (unpacks && selected.entry.kind === 'file' && (await unpackInto(task, selected.path, destination, signal))) return
  await copyLeaf(task, selected, placeFor(task, destination, selected.name))
}

/** False where the file is no archive. */
async function unpackInto(task: CopyTask, path: InnerPath, destination: string, signal: AbortSignal): Promise<boolean> {
  const fd = openFile(task.files, path)
  try {
    const archive = await openArchive(fd)
    if (!archive) return false
    await using _archive = endAtLast(archive)
    const named = { name: `"${toText(path)}"`, content: archive }
    await unpackArchive(task, named, makeDirectories(taskForArchive(task), destination), signal)
    return true
  } finally {
    closeSync(fd)
  }
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

/** Everything that was selected, each directory on the way once. */
async function copyWithParents(task: CopyTask, matches: readonly Selected[], to: InnerPath): Promise<void> {
  const directories: (() => void)[] = []
  const made = new Set<InnerPath>()
  const copyOne = (path: InnerPath, target: InnerPath): void => {
    const entry = task.tree.lookUp(path)
    if (made.has(target) || !entry) return
    made.add(target)
    copyDirectory(task, path, entry, target)
    // Again at the end, because a directory's time changes with every name made in it.
    directories.push(() => copyDirectory(task, path, entry, target))
  }
  for (const selected of matches) {
    await task.pause()
    let place = to
    for (const parent of selected.parents) {
      place = joinInner(place, nameOf(parent))
      copyOne(parent, place)
    }
    const target = joinInner(place, nameOf(selected.path))
    if (selected.entry.kind === 'directory') copyOne(selected.path, target)
    else await copyLeaf(task, selected, target)
  }
  for (const describe of directories.toReversed()) describe()
}

function writeInline(task: CopyTask, source: Extract<CopySource, { kind: 'inline' }>, destination: string): void {
  // A name with slashes is a path of its own in other builders, too; only its last part counts.
  const to = placeFor(task, destination, nameOf(`/${toByteString(source.name)}`))
  makeRoom(task.root, to)
  writeFileSync(onDisk(task.root, to), source.content, { flag: 'wx' })
  const mode = task.mode ? changeMode(task.mode, INLINE_MODE, false) : INLINE_MODE
  setAttributes(task.root, to, { owner: task.owner ?? { uid: 0, gid: 0 }, mode })
}

/** `--chmod` is not for what comes out of an archive, nor for the directory made for it. */
function taskForArchive(task: CopyTask): CopyTask {
  return { ...task, mode: null }
}
