import { createWriteStream, linkSync, mkdirSync, rmSync, symlinkSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { extract as extractTar, type Header } from 'tar-stream'
import { SlipwayError } from '#domain/errors'
import { S_IF, type Sys } from '#host/sys'
import { deviceNumber } from '../layers/file-entry.ts'
import {
  cleanPath,
  type InnerPath,
  joinInner,
  nameOf,
  onDisk,
  parentOf,
  resolveBeneath,
  statBeneath,
  toByteString,
} from './beneath.ts'
import { type Attributes, type CopyTask, makeDirectories, setAttributes } from './copy-task.ts'

const WHITEOUT = '.wh.'
const OPAQUE = '.wh..wh..opq'

/** Unpacks an archive into the directory `to`, which nothing in the archive can leave. */
export async function unpackArchive(
  task: CopyTask,
  archive: Readable,
  to: InnerPath,
  signal: AbortSignal,
): Promise<void> {
  const inside = { root: onDisk(task.root, to).toString('utf8'), owner: null, mode: null }
  const extract = extractTar()
  const fed = pipeline(archive, extract, { signal })
  const directories: { path: InnerPath; attributes: Attributes }[] = []
  try {
    for await (const member of extract) {
      await task.pause()
      const header = member.header
      const path = placeOf(inside.root, header.name, () =>
        makeDirectories(inside, parentOf(cleanPath(toByteString(header.name)))),
      )
      const attributes = attributesOf(task, header)
      if (path !== null && !applyWhiteout(inside.root, path)) {
        await writeMember(task.sys, inside.root, { path, source: member })
        if (header.type === 'directory') directories.push({ path, attributes })
        else if (header.type !== 'link') setAttributes(inside.root, path, attributes)
      }
      member.resume()
    }
    await fed
  } catch (error) {
    await fed.catch(() => {})
    if (signal.aborted) throw signal.reason
    if (error instanceof SlipwayError) throw error
    throw new SlipwayError('step-failed', `cannot unpack the archive: ${String(error)}`, { cause: error })
  }
  for (const { path, attributes } of directories.toReversed()) setAttributes(inside.root, path, attributes)
}

/** Where a member goes; null for the archive's own root. */
function placeOf(root: string, name: string, makeParents: () => InnerPath): InnerPath | null {
  const path = cleanPath(toByteString(name))
  if (path === '/') return null
  makeParents()
  return joinInner(resolveBeneath(root, parentOf(path)), nameOf(path))
}

function attributesOf(task: CopyTask, header: Header): Attributes {
  return {
    owner: task.owner ?? { uid: header.uid, gid: header.gid },
    mode: header.type === 'symlink' ? null : header.mode & 0o7777,
    modifiedAtMs: header.mtime.getTime(),
  }
}

function applyWhiteout(root: string, path: InnerPath): boolean {
  const name = nameOf(path)
  if (!name.startsWith(WHITEOUT) || name === WHITEOUT || name === OPAQUE) return name === OPAQUE
  rmSync(onDisk(root, joinInner(parentOf(path), name.slice(WHITEOUT.length))), { recursive: true, force: true })
  return true
}

type Source = ReturnType<typeof extractTar> extends AsyncIterable<infer Member> ? Member : never

async function writeMember(sys: Sys, root: string, member: { path: InnerPath; source: Source }): Promise<void> {
  const { path, source } = member
  const { header } = source
  const target = onDisk(root, path)
  const existing = statBeneath(root, path)
  const keeps = header.type === 'directory' && existing?.isDirectory()
  if (existing && !keeps) rmSync(target, { recursive: true, force: true })
  switch (header.type) {
    case 'directory':
      if (!keeps) mkdirSync(target)
      return
    case 'symlink':
      symlinkSync(Buffer.from(header.linkname, 'utf8'), target)
      return
    case 'link':
      linkSync(onDisk(root, resolveBeneath(root, toByteString(header.linkname), false)), target)
      return
    case 'fifo':
      sys.mkfifo(target, 0o644)
      return
    case 'file':
    case 'contiguous-file':
      await pipeline(source, createWriteStream(target, { flags: 'wx' }))
      return
    case 'block-device':
    case 'character-device': {
      const type = header.type === 'block-device' ? S_IF.BLK : S_IF.CHR
      sys.mknod(target, type | 0o600, deviceNumber(header.devmajor, header.devminor))
      return
    }
    default:
      header.type satisfies never
  }
}
