import { createHash } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { SlipwayError } from '#domain/errors'
import { onDisk } from '../solver/beneath.ts'
import type { BuildContext, ContextEntry } from './contract.ts'
import { createGitCheckouts, type GitCheckout, type GitCheckouts, openGitCheckout } from './git-checkout.ts'
import { createGitListings, type GitListing, type GitListings, listGit } from './git-listing.ts'
import { checkObjects, readBlobs, readCommitTime } from './git-objects.ts'
import type { IgnoreMatcher } from './ignore.ts'
import { dropIgnored, type IgnoreFile, type IgnoreRule, MAX_IGNORE_BYTES, readIgnoreFile } from './ignore-file.ts'
import { toBytes, toText } from './path-bytes.ts'
import { resolveInside } from './resolve-inside.ts'

/** What the contexts of one process share: made once, and handed to each. */
export interface GitShared {
  checkouts: GitCheckouts
  listings: GitListings
}

export function createGitShared(): GitShared {
  return { checkouts: createGitCheckouts(), listings: createGitListings() }
}

export interface GitContextOptions {
  /** A bare repository that has the commit. */
  gitDir: string
  /** Full object id. */
  commit: string
  /** The directory of the tree to build from; `/` is all of it. */
  subdirectory: string
  /** Checkouts go below this directory and are removed with the context. */
  checkoutRoot: string
  /** Path of the Dockerfile in the context, whose own ignore file goes before `.dockerignore`. */
  dockerfile?: string
  /** What the contexts of this process share; without it, this one is on its own. */
  shared?: GitShared
  /** Whether `.dockerignore` counts; it does if not given. */
  applyIgnoreFile?: boolean
}

/** A tree of a bare git repository as a build context. Files are checked out only when they are needed. */
export async function openGitContext(options: GitContextOptions, signal: AbortSignal): Promise<BuildContext> {
  const checkout = new LazyCheckout(options)
  try {
    const list = () => listGit(options, () => checkout.open(signal), signal)
    const [listing, timestamp] = await Promise.all([
      options.shared ? options.shared.listings.get(options, list, signal) : list(),
      readCommitTime(options, signal),
    ])
    return new GitContext({ options, checkout, listing, timestamp })
  } catch (error) {
    await checkout[Symbol.asyncDispose]()
    throw error
  }
}

/** The one checkout of a context, made when it is first needed. */
class LazyCheckout implements AsyncDisposable {
  readonly #options: GitContextOptions
  #opened: Promise<GitCheckout> | null = null

  constructor(options: GitContextOptions) {
    this.#options = options
  }

  open(signal: AbortSignal): Promise<GitCheckout> {
    const { shared, checkoutRoot } = this.#options
    this.#opened ??= shared
      ? shared.checkouts.open(this.#options, checkoutRoot, signal)
      : openGitCheckout(this.#options, checkoutRoot, signal)
    return this.#opened
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const opened = this.#opened
    this.#opened = null
    await (await opened?.catch(() => null))?.[Symbol.asyncDispose]()
  }
}

interface Opened {
  options: GitContextOptions
  checkout: LazyCheckout
  listing: GitListing
  timestamp: number | null
}

class GitContext implements BuildContext {
  readonly timestamp: number | null
  readonly #options: GitContextOptions
  readonly #checkout: LazyCheckout
  readonly #listing: GitListing
  #ignore: Promise<IgnoreFile | null> | null = null
  /** Tells the ignore file from others. */
  #ignoreDigest = ''

  constructor({ options, checkout, listing, timestamp }: Opened) {
    this.#options = options
    this.#checkout = checkout
    this.#listing = listing
    this.timestamp = timestamp
  }

  async entries(signal: AbortSignal): Promise<readonly ContextEntry[]> {
    const ignore = await this.#readIgnore(signal)
    return await this.remember('entries', async () => dropIgnored(this.#listing.entries, ignore), signal)
  }

  async remember<T>(name: string, work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    await this.#readIgnore(signal)
    const { remembered } = this.#listing
    const key = `${this.#ignoreDigest} ${name}`
    if (remembered.has(key)) return remembered.get(key) as T
    const result = await work()
    if (remembered.size >= MAX_REMEMBERED) remembered.clear()
    remembered.set(key, result)
    return result
  }

  async readFile(path: string, maxBytes: number, signal: AbortSignal): Promise<Buffer | null> {
    const { gitDir } = this.#options
    const { records } = this.#listing
    const inside = resolveInside((inner) => records.get(inner)?.entry ?? null, toBytes(path))
    const found = inside === null ? null : records.get(inside)
    if (found?.entry.kind !== 'file') return null
    const [blob] = await checkObjects(gitDir, [found.id], signal)
    const sizeBytes = blob?.sizeBytes ?? 0
    if (sizeBytes > maxBytes) {
      throw new SlipwayError('too-large', `${path} has ${sizeBytes} bytes, expected at most ${maxBytes}`)
    }
    return (await readBlobs(gitDir, [found.id], signal)).get(found.id) ?? null
  }

  async materialise(signal: AbortSignal, paths?: readonly string[]): Promise<string> {
    const checkout = await this.#checkout.open(signal)
    const inside = posix.resolve('/', this.#options.subdirectory).slice(1)
    const rootDir = join(checkout.rootDir, inside)
    const prefix = inside === '' ? '' : `${toBytes(inside)}/`
    if (paths === undefined) {
      const all = [...this.#listing.records.values()].filter(({ entry }) => entry.kind !== 'directory')
      await checkout.write(inside === '' ? 'all' : all.map(({ entry }) => prefix + entry.path), signal)
    } else
      await checkout.write(
        this.#filesAt(paths).map((path) => prefix + path),
        signal,
      )
    const directories = [...this.#listing.records.values()].filter(({ entry }) => entry.kind === 'directory')
    const wanted = paths === undefined ? null : new Set(paths)
    await mkdir(rootDir, { recursive: true, mode: 0o755 })
    for (const { entry } of directories)
      if (wanted === null || wanted.has(entry.path))
        await mkdir(onDisk(rootDir, `/${entry.path}`), { recursive: true, mode: 0o755 })
    return rootDir
  }

  remarks(paths: readonly string[]): readonly string[] {
    const { pointers } = this.#listing.conversions
    const copied = pointers.size === 0 ? [] : paths.filter((path) => pointers.has(path)).map(toText)
    if (copied.length === 0) return []
    const more = copied.length > MAX_NAMED ? ` and ${copied.length - MAX_NAMED} more` : ''
    const named = copied.slice(0, MAX_NAMED).join(', ') + more
    return [`Git LFS is not used: what is copied is the pointers to these files, not their content: ${named}\n`]
  }

  async hiddenBy(path: string): Promise<IgnoreRule | null> {
    const inside = toBytes(posix.resolve('/', path).slice(1))
    if (!this.#listing.records.has(inside)) return null
    return (await this.#readIgnore(new AbortController().signal))?.ruleFor(inside) ?? null
  }

  async ignoreRules(signal: AbortSignal): Promise<IgnoreMatcher | null> {
    return await this.#readIgnore(signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#checkout[Symbol.asyncDispose]()
  }

  #filesAt(paths: readonly string[]): string[] {
    return paths.filter((path) => (this.#listing.records.get(path)?.entry.kind ?? 'directory') !== 'directory')
  }

  #readIgnore(signal: AbortSignal): Promise<IgnoreFile | null> {
    if (this.#options.applyIgnoreFile === false) return Promise.resolve(null)
    const digest = createHash('sha256')
    const read = async (path: string) => {
      const bytes = await this.readFile(path, MAX_IGNORE_BYTES, signal)
      if (bytes !== null) digest.update(path).update('\0').update(bytes)
      return bytes
    }
    this.#ignore ??= readIgnoreFile(read, this.#options.dockerfile ?? null).then((file) => {
      this.#ignoreDigest = digest.digest('hex')
      return file
    })
    return this.#ignore
  }
}

/** Of one listing. */
const MAX_REMEMBERED = 64
/** Files that one remark names. */
const MAX_NAMED = 10
