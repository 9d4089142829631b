import { createHash, hash as hashOnce } from 'node:crypto'
import { closeSync, createReadStream, fstatSync, lstatSync, readFileSync, readlinkSync } from 'node:fs'
import { realpath } from 'node:fs/promises'
import { posix } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { SlipwayError } from '#domain/errors'
import { cleanPath, isMissing } from '../solver/beneath.ts'
import { openFile, openSourceFiles, type SourceFiles, versionOf } from '../solver/source-files.ts'
import { openContentIndex } from './content-index.ts'
import type { BuildContext, ContextEntry } from './contract.ts'
import type { IgnoreMatcher } from './ignore.ts'
import { dropIgnored, type IgnoreFile, type IgnoreRule, MAX_IGNORE_BYTES, readIgnoreFile } from './ignore-file.ts'
import { toBytes } from './path-bytes.ts'
import { type PathLookup, resolveInside } from './resolve-inside.ts'
import { type FindKnown, walkTree } from './walk-tree.ts'

export interface DirectoryContextOptions {
  /** Path of the Dockerfile in the directory, whose own ignore file goes before `.dockerignore`. */
  dockerfile?: string
  /** The ignore file of a Dockerfile that is not in the directory; it goes before the directory's own. */
  ignoreFile?: { dockerfile: string; content: Buffer }
  /** When the files were made, in Unix seconds, where something says it. */
  timestamp?: number | null
  /** Where to keep what files were when they were hashed; without it all of them are read each time. */
  indexDir?: string
  /** Runs when the context is disposed, for directories that were made for it. */
  dispose?: () => Promise<void>
}

/** A directory on disk as a build context. The directory stays the caller's. */
export async function openDirectoryContext(
  directory: string,
  options: DirectoryContextOptions = {},
): Promise<BuildContext> {
  const rootDir = await realpath(directory).catch((error: unknown) => {
    throw new SlipwayError('context-invalid', `Build context ${directory} is not there`, { cause: error })
  })
  if (!lstatSync(rootDir).isDirectory()) {
    throw new SlipwayError('context-invalid', `Build context ${directory} is not a directory`)
  }
  return new DirectoryContext(rootDir, options)
}

class DirectoryContext implements BuildContext {
  readonly timestamp: number | null
  readonly #rootDir: string
  readonly #options: DirectoryContextOptions
  #ignore: Promise<IgnoreFile | null> | null = null
  #entries: Promise<readonly ContextEntry[]> | null = null
  #disposed = false

  constructor(rootDir: string, options: DirectoryContextOptions) {
    this.#rootDir = rootDir
    this.#options = options
    this.timestamp = options.timestamp ?? null
  }

  async entries(signal: AbortSignal): Promise<readonly ContextEntry[]> {
    this.#entries ??= this.#list(signal)
    return await this.#entries
  }

  async readFile(path: string, maxBytes: number, signal: AbortSignal): Promise<Buffer | null> {
    signal.throwIfAborted()
    using files = openSourceFiles(this.#rootDir)
    const inside = resolveInside(lookUpOnDisk(files), toBytes(path))
    if (inside === null || inside === '') return null
    return readWhole(files, inside, { path, maxBytes })
  }

  async materialise(): Promise<string> {
    return this.#rootDir
  }

  async hiddenBy(path: string): Promise<IgnoreRule | null> {
    const inside = toBytes(posix.resolve('/', path).slice(1))
    using files = openSourceFiles(this.#rootDir)
    if (inside === '' || !lookUpOnDisk(files)(inside)) return null
    return (await this.#readIgnore(new AbortController().signal))?.ruleFor(inside) ?? null
  }

  async ignoreRules(signal: AbortSignal): Promise<IgnoreMatcher | null> {
    return await this.#readIgnore(signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#disposed) return
    this.#disposed = true
    await this.#options.dispose?.()
  }

  #readIgnore(signal: AbortSignal): Promise<IgnoreFile | null> {
    const { dockerfile = null, ignoreFile } = this.#options
    const outside = ignoreFile ? `${ignoreFile.dockerfile}.dockerignore` : null
    const read = async (path: string) =>
      ignoreFile && path === outside ? ignoreFile.content : await this.readFile(path, MAX_IGNORE_BYTES, signal)
    this.#ignore ??= readIgnoreFile(read, ignoreFile?.dockerfile ?? dockerfile)
    return this.#ignore
  }

  async #list(signal: AbortSignal): Promise<readonly ContextEntry[]> {
    const ignore = await this.#readIgnore(signal)
    const prune = (path: string) => ignore !== null && ignore.ignores(path) && ignore.prunes(path)
    const startedAtMs = Date.now()
    const { indexDir, dockerfile, ignoreFile } = this.#options
    const name = JSON.stringify([this.#rootDir, dockerfile ?? null, ignoreFile?.dockerfile ?? null])
    const index = indexDir === undefined ? null : await openContentIndex(indexDir, name)
    const known: FindKnown = (path, version) => index?.find(path, version) ?? null
    using files = openSourceFiles(this.#rootDir)
    const kept = dropIgnored(await walkTree(files, { prune, known }, signal), ignore)
    const entries = await addContentIds(files, kept, signal)
    await index?.save(entries, startedAtMs)
    return entries
  }
}

function lookUpOnDisk(files: SourceFiles): PathLookup {
  return (path) => {
    try {
      const onDisk = files.at(cleanPath(path))
      const stats = lstatSync(onDisk)
      if (!stats.isSymbolicLink()) return { kind: stats.isDirectory() ? 'directory' : 'file', linkTarget: null }
      return { kind: 'symlink', linkTarget: readlinkSync(onDisk, { encoding: 'buffer' }).toString('latin1') }
    } catch (error) {
      if (isGone(error)) return null
      throw error
    }
  }
}

/** What is not there, or no longer, or below something that is no directory. */
function isGone(error: unknown): boolean {
  return isMissing(error) || (error instanceof SlipwayError && error.kind === 'context-invalid')
}

function readWhole(
  files: SourceFiles,
  inside: string,
  { path, maxBytes }: { path: string; maxBytes: number },
): Buffer | null {
  const found = lstatSync(files.at(cleanPath(inside)), { throwIfNoEntry: false })
  if (!found?.isFile()) return null
  const fd = openFile(files, cleanPath(inside))
  try {
    const { size } = fstatSync(fd)
    if (size > maxBytes) throw new SlipwayError('too-large', `${path} has ${size} bytes, expected at most ${maxBytes}`)
    return readFileSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** Other work of the process runs after so many. */
const FILES_PER_TURN = 128
/** Files that are read at once. */
const PARALLEL_READS = 16

async function addContentIds(
  files: SourceFiles,
  entries: readonly ContextEntry[],
  signal: AbortSignal,
): Promise<readonly ContextEntry[]> {
  const result = [...entries]
  let next = 0
  const work = async () => {
    for (let at = next++; at < result.length; at = next++) {
      const entry = result[at]
      if (entry?.kind !== 'file' || entry.contentId !== null) continue
      if (at % FILES_PER_TURN === 0) await nextTurn()
      signal.throwIfAborted()
      const fd = openFile(files, cleanPath(entry.path))
      const version = versionOf(fstatSync(fd))
      result[at] = { ...entry, version, contentId: await hashFile(fd, signal) }
    }
  }
  await Promise.all(Array.from({ length: PARALLEL_READS }, work))
  return result
}

/** Smaller files are read at once: a stream would cost more than all its bytes. */
const SMALL_BYTES = 512 * 1024

/** Hashes an open file, and closes it. */
async function hashFile(fd: number, signal: AbortSignal): Promise<string> {
  if (fstatSync(fd).size > SMALL_BYTES) {
    const hash = createHash('sha256')
    await pipeline(createReadStream('', { fd }), hash, { signal })
    return `sha256:${hash.digest('hex')}`
  }
  try {
    return `sha256:${hashOnce('sha256', readFileSync(fd), 'hex')}`
  } finally {
    closeSync(fd)
  }
}
