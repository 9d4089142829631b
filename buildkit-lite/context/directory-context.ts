import { createHash } from 'node:crypto'
import { constants, lstatSync, readlinkSync } from 'node:fs'
import { open, realpath } from 'node:fs/promises'
import { posix } from 'node:path'
import { SlipwayError } from '#domain/errors'
import type { BuildContext, ContextEntry } from './contract.ts'
import type { IgnoreMatcher } from './ignore.ts'
import { dropIgnored, MAX_IGNORE_BYTES, readIgnoreFile } from './ignore-file.ts'
import { toBytes } from './path-bytes.ts'
import { type PathLookup, resolveInside } from './resolve-inside.ts'
import { pathOnDisk, walkTree } from './walk-tree.ts'

export interface DirectoryContextOptions {
  /** Path of the Dockerfile in the directory, whose own ignore file goes before `.dockerignore`. */
  dockerfile?: string
  /** When the files were made, in Unix seconds, where something says it. */
  timestamp?: number | null
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
  #ignore: Promise<IgnoreMatcher | null> | null = null
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
    const inside = resolveInside(lookUpOnDisk(this.#rootDir), toBytes(path))
    if (inside === null || inside === '') return null
    return await readWhole(pathOnDisk(this.#rootDir, inside), path, maxBytes)
  }

  async materialise(): Promise<string> {
    return this.#rootDir
  }

  async isIgnored(path: string): Promise<boolean> {
    const ignore = await this.#readIgnore(new AbortController().signal)
    return ignore?.ignores(toBytes(posix.resolve('/', path).slice(1))) ?? false
  }

  async ignoreRules(signal: AbortSignal): Promise<IgnoreMatcher | null> {
    return await this.#readIgnore(signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#disposed) return
    this.#disposed = true
    await this.#options.dispose?.()
  }

  #readIgnore(signal: AbortSignal): Promise<IgnoreMatcher | null> {
    const read = (path: string) => this.readFile(path, MAX_IGNORE_BYTES, signal)
    this.#ignore ??= readIgnoreFile(read, this.#options.dockerfile ?? null)
    return this.#ignore
  }

  async #list(signal: AbortSignal): Promise<readonly ContextEntry[]> {
    const ignore = await this.#readIgnore(signal)
    const prune = (path: string) => ignore !== null && ignore.ignores(path) && ignore.prunes(path)
    const kept = dropIgnored(await walkTree(this.#rootDir, prune, signal), ignore)
    return await addContentIds(this.#rootDir, kept, signal)
  }
}

function lookUpOnDisk(rootDir: string): PathLookup {
  return (path) => {
    const onDisk = pathOnDisk(rootDir, path)
    const stats = lstatSync(onDisk, { throwIfNoEntry: false })
    if (!stats) return null
    if (!stats.isSymbolicLink()) return { kind: stats.isDirectory() ? 'directory' : 'file', linkTarget: null }
    return { kind: 'symlink', linkTarget: readlinkSync(onDisk, { encoding: 'buffer' }).toString('latin1') }
  }
}

async function readWhole(onDisk: Buffer, path: string, maxBytes: number): Promise<Buffer | null> {
  await using file = await open(onDisk, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  const stats = await file.stat()
  if (!stats.isFile()) return null
  if (stats.size > maxBytes) {
    throw new SlipwayError('too-large', `${path} has ${stats.size} bytes, expected at most ${maxBytes}`)
  }
  return await file.readFile()
}

/** Files that are read at once. */
const PARALLEL_READS = 16

async function addContentIds(
  rootDir: string,
  entries: readonly ContextEntry[],
  signal: AbortSignal,
): Promise<readonly ContextEntry[]> {
  const result = [...entries]
  let next = 0
  const work = async () => {
    for (let at = next++; at < result.length; at = next++) {
      const entry = result[at]
      if (entry?.kind !== 'file') continue
      result[at] = { ...entry, contentId: await hashFile(pathOnDisk(rootDir, entry.path), signal) }
    }
  }
  await Promise.all(Array.from({ length: PARALLEL_READS }, work))
  return result
}

async function hashFile(onDisk: Buffer, signal: AbortSignal): Promise<string> {
  signal.throwIfAborted()
  const hash = createHash('sha256')
  await using file = await open(onDisk, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  for await (const chunk of file.createReadStream({ autoClose: false, signal })) hash.update(chunk)
  return `sha256:${hash.digest('hex')}`
}
