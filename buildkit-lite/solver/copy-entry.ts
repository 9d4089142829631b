import {
  closeSync,
  constants,
  copyFileSync,
  fstatSync,
  linkSync,
  mkdirSync,
  type Stats,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { copyFile } from 'node:fs/promises'
import { SlipwayError } from '#domain/errors'
import { S_IF } from '#host/sys'
import { type InnerPath, joinInner, onDisk, statBeneath, toText } from './beneath.ts'
import { copySmallFile, isSmallFile, LARGE_BYTES } from './copy-small-file.ts'
import { attributesFor, type CopyTask, setAttributes, setModifiedTime } from './copy-task.ts'
import { type TreeEntry, walk } from './file-tree.ts'
import { openFile, statSource, versionOf } from './source-files.ts'

/** Copies what lies in `from` into the existing directory `to`. Nested directories take their source's attributes. */
export async function copyContents(task: CopyTask, from: InnerPath, to: InnerPath): Promise<void> {
  const directories: { path: InnerPath; source: Stats; mode: number }[] = []
  for (const { relative, path, entry } of walk(task.tree, from, task.exclusion)) {
    await task.pause()
    const target = joinInner(to, relative)
    if (entry.kind !== 'directory') await copyLeaf(task, { path, entry }, target)
    else directories.push({ path: target, source: makeNested(task, path, target), mode: entry.mode })
  }
  // Last, because a directory's time changes with every name made in it.
  for (const directory of directories.toReversed())
    setAttributes(task.root, directory.path, attributesFor(task, directory.source, directory.mode))
}

/** Makes a directory as a copy of another one, without its content. */
export function copyDirectory(task: CopyTask, from: InnerPath, entry: TreeEntry, to: InnerPath): void {
  const source = makeNested(task, from, to)
  setAttributes(task.root, to, attributesFor(task, source, entry.mode))
}

/** Gives an existing directory the time of the one whose content came into it. */
export function takeTime(task: CopyTask, from: InnerPath, to: InnerPath): void {
  setModifiedTime(task.root, to, task.modifiedAtMs ?? statSource(task.files, from).mtimeMs)
}

function makeNested(task: CopyTask, from: InnerPath, to: InnerPath): Stats {
  const source = statSource(task.files, from)
  const existing = statBeneath(task.root, to)
  if (existing && !existing.isDirectory())
    throw new SlipwayError('step-failed', `cannot copy to non-directory: ${toText(to)}`)
  if (!existing) mkdirSync(onDisk(task.root, to))
  return source
}

/** Copies a file, link or pipe to exactly `to`, in place of a file or link that is there. */
export async function copyLeaf(
  task: CopyTask,
  from: { path: InnerPath; entry: TreeEntry },
  to: InnerPath,
): Promise<void> {
  if (from.entry.kind === 'file' && copySmall(task, from, to)) return
  const source = statSource(task.files, from.path)
  makeRoom(task.root, to)
  if (from.entry.kind === 'symlink') {
    symlinkSync(Buffer.from(from.entry.linkTarget ?? '', 'latin1'), onDisk(task.root, to))
    setAttributes(task.root, to, { ...attributesFor(task, source, 0o777), mode: null })
    return
  }
  if (linkToEarlierCopy(task, source, to)) return
  // What is asked of the source path comes before the next path is asked for.
  const capability = from.entry.kind === 'file' ? task.sys.lgetxattr(task.files.at(from.path), CAPABILITY) : null
  await writeCopy(task, { ...from, source }, to)
  setAttributes(task.root, to, attributesFor(task, source, from.entry.mode))
  // A change of the owner clears it, so it comes last.
  if (capability !== null) task.sys.lsetxattr(onDisk(task.root, to), CAPABILITY, capability)
}

/** The most frequent case, at once. False where it is another one. */
function copySmall(task: CopyTask, { path, entry }: { path: InnerPath; entry: TreeEntry }, to: InnerPath): boolean {
  const fd = openFile(task.files, path)
  try {
    const source = fstatSync(fd)
    if (source.nlink > 1 || !isSmallFile(source) || mayHaveCapability(task, path, entry)) return false
    const attributes = attributesFor(task, source, entry.mode)
    if ((attributes.modifiedAtMs ?? 0) < 0) return false
    copySmallFile(fd, onDisk(task.root, to), attributes, () => makeRoom(task.root, to))
    // After the copy, so that a change meanwhile shows too.
    if (entry.version !== undefined && versionOf(fstatSync(fd)) !== entry.version) tellChange(task, path)
    return true
  } finally {
    closeSync(fd)
  }
}

/** A list with versions says which files have attributes; other trees have to be asked. */
function mayHaveCapability(task: CopyTask, path: InnerPath, { version, attributes }: TreeEntry): boolean {
  if (version !== undefined) return attributes !== undefined
  return task.sys.lgetxattr(task.files.at(path), CAPABILITY) !== null
}

/** The one extended attribute that images carry. */
const CAPABILITY = 'security.capability'

/** Takes away the file or link at `to`; a directory stays. */
export function makeRoom(root: string, to: InnerPath): void {
  const existing = statBeneath(root, to)
  if (existing?.isDirectory())
    throw new SlipwayError('step-failed', `cannot replace to directory ${toText(to)} with file`)
  if (existing) unlinkSync(onDisk(root, to))
}

async function writeCopy(
  task: CopyTask,
  from: { path: InnerPath; entry: TreeEntry; source: Stats },
  to: InnerPath,
): Promise<void> {
  const target = onDisk(task.root, to)
  switch (from.entry.kind) {
    case 'file':
      return await copyContent(task, from, target)
    case 'socket':
      writeFileSync(target, '')
      return
    case 'fifo':
      task.sys.mkfifo(target, 0o644)
      return
    case 'device':
      task.sys.mknod(target, (from.source.isBlockDevice() ? S_IF.BLK : S_IF.CHR) | 0o600, from.source.rdev)
      return
    case 'directory':
    case 'symlink':
      throw new SlipwayError('step-failed', `cannot copy ${toText(from.path)}: it is a ${from.entry.kind}`)
    default:
      from.entry.kind satisfies never
  }
}

/** Reads what was opened, whatever becomes of its name. */
async function copyContent(
  task: CopyTask,
  from: { path: InnerPath; entry: TreeEntry; source: Stats },
  target: Buffer,
): Promise<void> {
  const fd = openFile(task.files, from.path)
  try {
    const opened = `/proc/self/fd/${fd}`
    if (from.source.size >= LARGE_BYTES) await copyFile(opened, target, constants.COPYFILE_FICLONE)
    else copyFileSync(opened, target, constants.COPYFILE_FICLONE)
    // After the copy, so that a change meanwhile shows too.
    const { version } = from.entry
    if (version !== undefined && versionOf(fstatSync(fd)) !== version) tellChange(task, from.path)
  } finally {
    closeSync(fd)
  }
}

function tellChange({ onChanged }: CopyTask, path: InnerPath): void {
  if (onChanged) onChanged(path)
  else throw new SlipwayError('context-invalid', `"${toText(path)}" was changed while it was read`)
}

/** Names of one file stay names of one file. */
function linkToEarlierCopy(task: CopyTask, source: Stats, to: InnerPath): boolean {
  if (source.nlink < 2 || !source.isFile()) return false
  const identity = `${source.dev}:${source.ino}`
  const earlier = task.hardLinks.get(identity)
  if (earlier === undefined) task.hardLinks.set(identity, to)
  else if (statBeneath(task.root, earlier)) linkSync(onDisk(task.root, earlier), onDisk(task.root, to))
  return earlier !== undefined && statBeneath(task.root, to) !== null
}
