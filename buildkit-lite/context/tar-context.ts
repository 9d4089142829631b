import { chmodSync, createWriteStream, linkSync, lstatSync, mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { mkdir, mkdtemp, open, rename, rm } from 'node:fs/promises'
import { join, posix } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { extract as extractTar } from 'tar-stream'
import { SlipwayError } from '#domain/errors'
import { openArchive } from '../solver/detect-archive.ts'
import type { BuildContext } from './contract.ts'
import { openDirectoryContext } from './directory-context.ts'

export interface TarContextOptions {
  /** The archive is unpacked below this directory, and removed with the context. */
  directory: string
  /** Path of the Dockerfile in the context. */
  dockerfile?: string
  /** When the archive was made, in Unix seconds; that of its newest file if not given. */
  timestamp?: number
  /** What a file that is no archive is called, if it is not the Dockerfile. */
  fileName?: string
}

/**
 * A tar archive in any usual compression as a build context. What is no archive is taken as the Dockerfile itself, in
 * a context that has nothing else.
 */
export async function openTarContext(
  stream: Readable,
  options: TarContextOptions,
  signal: AbortSignal,
): Promise<BuildContext> {
  await mkdir(options.directory, { recursive: true })
  const parent = await mkdtemp(join(options.directory, 'slip-tar-'))
  const dispose = () => rm(parent, { recursive: true, force: true })
  try {
    const files = join(parent, 'files')
    await mkdir(files, { mode: 0o755 })
    const received = join(parent, 'archive')
    await pipeline(stream, createWriteStream(received), { signal })
    await using file = await open(received)
    const archive = await openArchive(file.fd)
    const newest = archive ? await unpack(archive, files, signal) : null
    const { dockerfile, fileName = dockerfile ?? 'Dockerfile', timestamp = newest } = options
    if (!archive) await rename(received, placeIn(files, fileName))
    await rm(received, { force: true })
    const named = dockerfile === undefined ? {} : { dockerfile }
    return await openDirectoryContext(files, { dispose, timestamp, ...named })
  } catch (error) {
    await dispose()
    throw error
  }
}

/** Owners are not kept: in a context all belongs to root. Resolves with the time of the newest file, in Unix seconds. */
async function unpack(archive: Readable, root: string, signal: AbortSignal): Promise<number | null> {
  const extract = extractTar()
  const fed = pipeline(archive, extract, { signal })
  // Judged when the members have been read; until then nobody else waits for it.
  fed.catch(() => {})
  const directoryModes = new Map<string, number>()
  let newestMs: number | null = null
  try {
    for await (const member of extract) {
      await writeMember(member, root, directoryModes)
      const { type, mtime } = member.header
      if (type === 'file' && mtime) newestMs = Math.max(newestMs ?? 0, mtime.getTime())
      member.resume()
    }
    await fed
  } catch (error) {
    if (signal.aborted) throw signal.reason
    if (error instanceof SlipwayError) throw error
    throw new SlipwayError('context-invalid', `The context archive cannot be read: ${String(error)}`, { cause: error })
  }
  for (const [path, mode] of directoryModes) chmodSync(path, mode)
  return newestMs === null ? null : Math.floor(newestMs / 1000)
}

type Member = ReturnType<typeof extractTar> extends AsyncIterable<infer Item> ? Item : never

async function writeMember(member: Member, root: string, directoryModes: Map<string, number>): Promise<void> {
  const { header } = member
  const target = placeIn(root, header.name)
  if (target === root) return
  const mode = (header.mode ?? 0o644) & 0o7777
  switch (header.type) {
    case 'directory':
      makeDirectory(target)
      directoryModes.set(target, mode)
      return
    case 'symlink':
      clear(target)
      return symlinkSync(header.linkname ?? '', target)
    case 'link':
      clear(target)
      return linkSync(linkTarget(root, header.linkname ?? ''), target)
    case 'file':
    case 'contiguous-file':
      clear(target)
      await pipeline(member, createWriteStream(target, { flags: 'wx' }))
      return chmodSync(target, mode)
    case 'fifo':
    case 'block-device':
    case 'character-device':
      // Devices and pipes have no use in a context.
      return
    default:
      return header.type satisfies never
  }
}

/** Where a member goes, with the directories above it made. Nothing is ever written through a symlink. */
function placeIn(root: string, name: string): string {
  const path = posix.resolve('/', name).slice(1)
  const parts = path.split('/')
  for (let depth = 1; depth < parts.length; depth++) makeDirectory(join(root, ...parts.slice(0, depth)))
  return join(root, path)
}

function makeDirectory(path: string): void {
  const existing = lstatSync(path, { throwIfNoEntry: false })
  if (existing?.isDirectory()) return
  if (existing) rmSync(path)
  mkdirSync(path)
}

function linkTarget(root: string, name: string): string {
  const target = placeIn(root, name)
  if (lstatSync(target, { throwIfNoEntry: false })?.isFile()) return target
  throw new SlipwayError('context-invalid', `The context archive links to ${name}, which is no file before it`)
}

function clear(path: string): void {
  rmSync(path, { recursive: true, force: true })
}
