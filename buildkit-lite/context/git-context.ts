import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join, posix, resolve } from 'node:path'
import { SlipwayError } from '#domain/errors'
import { ExecError } from '#host/exec'
import type { BuildContext, ContextEntry } from './contract.ts'
import { listTree, nameTree, readBlobs, readCommitTime, runGit, runGitIn } from './git-objects.ts'
import type { IgnoreMatcher } from './ignore.ts'
import { dropIgnored, type IgnoreFile, type IgnoreRule, MAX_IGNORE_BYTES, readIgnoreFile } from './ignore-file.ts'
import { toBytes } from './path-bytes.ts'
import { resolveInside } from './resolve-inside.ts'

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
  /** Whether `.dockerignore` counts; it does if not given. */
  applyIgnoreFile?: boolean
}

/** A tree of a bare git repository as a build context. It is checked out only when files are needed. */
export async function openGitContext(options: GitContextOptions, signal: AbortSignal): Promise<BuildContext> {
  const [entries, timestamp] = await Promise.all([listTree(options, signal), readCommitTime(options, signal)])
  return new GitContext(options, entries, timestamp)
}

class GitContext implements BuildContext {
  readonly timestamp: number | null
  readonly #options: GitContextOptions
  readonly #all: readonly ContextEntry[]
  readonly #byPath: ReadonlyMap<string, ContextEntry>
  #ignore: Promise<IgnoreFile | null> | null = null
  #checkout: Promise<string> | null = null

  constructor(options: GitContextOptions, all: readonly ContextEntry[], timestamp: number | null) {
    this.#options = options
    this.timestamp = timestamp
    this.#all = all
    this.#byPath = new Map(all.map((entry) => [entry.path, entry]))
  }

  async entries(signal: AbortSignal): Promise<readonly ContextEntry[]> {
    return dropIgnored(this.#all, await this.#readIgnore(signal))
  }

  async readFile(path: string, maxBytes: number, signal: AbortSignal): Promise<Buffer | null> {
    const inside = resolveInside((inner) => this.#byPath.get(inner) ?? null, toBytes(path))
    const entry = inside === null ? null : this.#byPath.get(inside)
    if (entry?.kind !== 'file' || entry.contentId === null) return null
    if (entry.sizeBytes > maxBytes) {
      throw new SlipwayError('too-large', `${path} has ${entry.sizeBytes} bytes, expected at most ${maxBytes}`)
    }
    const blobs = await readBlobs(this.#options.gitDir, [entry.contentId], signal)
    return blobs.get(entry.contentId) ?? null
  }

  async materialise(signal: AbortSignal): Promise<string> {
    this.#checkout ??= this.#checkOut(signal)
    return await this.#checkout
  }

  async hiddenBy(path: string): Promise<IgnoreRule | null> {
    const inside = toBytes(posix.resolve('/', path).slice(1))
    if (!this.#byPath.has(inside)) return null
    return (await this.#readIgnore(new AbortController().signal))?.ruleFor(inside) ?? null
  }

  async ignoreRules(signal: AbortSignal): Promise<IgnoreMatcher | null> {
    return await this.#readIgnore(signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const checkout = this.#checkout
    this.#checkout = null
    const directory = await checkout?.catch(() => null)
    if (directory) await rm(join(directory, '..'), { recursive: true, force: true })
  }

  #readIgnore(signal: AbortSignal): Promise<IgnoreFile | null> {
    if (this.#options.applyIgnoreFile === false) return Promise.resolve(null)
    const read = (path: string) => this.readFile(path, MAX_IGNORE_BYTES, signal)
    this.#ignore ??= readIgnoreFile(read, this.#options.dockerfile ?? null)
    return this.#ignore
  }

  async #checkOut(signal: AbortSignal): Promise<string> {
    const { checkoutRoot } = this.#options
    await mkdir(checkoutRoot, { recursive: true })
    const parent = await mkdtemp(join(checkoutRoot, 'slip-checkout-'))
    try {
      return await this.#checkOutBelow(parent, signal)
    } catch (error) {
      await rm(parent, { recursive: true, force: true })
      if (!(error instanceof ExecError)) throw error
      const message = `${nameTree(this.#options)} could not be checked out: ${error.message}`
      throw new SlipwayError('context-invalid', message, { cause: error })
    }
  }

  async #checkOutBelow(parent: string, signal: AbortSignal): Promise<string> {
    const directory = join(parent, 'files')
    await mkdir(directory, { mode: 0o755 })
    const gitDir = await makeReadingRepository(join(parent, 'git'), this.#options)
    const env = { GIT_INDEX_FILE: join(parent, 'index'), GIT_WORK_TREE: directory }
    await runGit({ gitDir, args: ['read-tree', nameTree(this.#options)], env, signal })
    await runGitIn(directory, { gitDir, args: ['checkout-index', '--all', '--force', '--quiet'], env, signal })
    return directory
  }
}

/**
 * A repository of our own that borrows the objects of another. Its attributes win over those of the tree: files are
 * written as the blobs they are keyed by, without filters or line-end conversion.
 */
async function makeReadingRepository(directory: string, from: GitContextOptions): Promise<string> {
  await mkdir(join(directory, 'objects', 'info'), { recursive: true })
  await mkdir(join(directory, 'refs'))
  await mkdir(join(directory, 'info'))
  const format =
    from.commit.length === 40 ? '' : '\trepositoryformatversion = 1\n[extensions]\n\tobjectformat = sha256\n'
  await writeFile(join(directory, 'config'), `[core]\n\tbare = false\n${format}`)
  await writeFile(join(directory, 'HEAD'), 'ref: refs/heads/none\n')
  await writeFile(join(directory, 'objects', 'info', 'alternates'), `${resolve(from.gitDir, 'objects')}\n`)
  await writeFile(join(directory, 'info', 'attributes'), '* -text -ident -filter -working-tree-encoding\n')
  return directory
}
