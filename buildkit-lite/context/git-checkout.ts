import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { SlipwayError } from '#domain/errors'
import { ExecError } from '#host/exec'
import { nameTree, runGit, runGitIn, type TreePlace } from './git-objects.ts'

/** Files of one commit on disk, as far as somebody asked for them. */
export interface GitCheckout extends AsyncDisposable {
  /** Settings under which git knows every file of the commit. */
  readonly env: Readonly<Record<string, string>>
  readonly gitDir: string
  /** The directory that stands for the root of the tree. */
  readonly rootDir: string
  /** Writes these files, or all of them; what is there already is not written again. Paths are latin1-exact. */
  write(paths: readonly string[] | 'all', signal: AbortSignal): Promise<void>
}

/**
 * Makes ready to check out a commit below `parentDir`. Attributes of the tree count, as for any checkout, but what they
 * would have run is not there: the settings are our own, and name no filter.
 */
export async function openGitCheckout(place: TreePlace, parentDir: string, signal: AbortSignal): Promise<GitCheckout> {
  await mkdir(parentDir, { recursive: true })
  const parent = await mkdtemp(join(parentDir, 'slip-checkout-'))
  const rootDir = join(parent, 'files')
  const dispose = () => rm(parent, { recursive: true, force: true })
  const commit = { ...place, subdirectory: '/' }
  try {
    await mkdir(rootDir, { mode: 0o755 })
    const gitDir = await makeReadingRepository(join(parent, 'git'), place)
    const env = { GIT_INDEX_FILE: join(parent, 'index'), GIT_WORK_TREE: rootDir }
    await runGit({ gitDir, args: ['read-tree', nameTree(commit)], env, signal })
    return {
      env,
      gitDir,
      rootDir,
      write: createWriter({ gitDir, env, rootDir }, place),
      [Symbol.asyncDispose]: dispose,
    }
  } catch (error) {
    await dispose()
    throw explained(error, place)
  }
}

/** One write at a time: they share the index. */
function createWriter(
  { gitDir, env, rootDir }: Pick<GitCheckout, 'gitDir' | 'env' | 'rootDir'>,
  place: TreePlace,
): GitCheckout['write'] {
  const written = new Set<string>()
  let turn: Promise<unknown> = Promise.resolve()
  let hasAll = false
  const write = async (paths: readonly string[] | 'all', signal: AbortSignal): Promise<void> => {
    if (hasAll) return
    const missing = paths === 'all' ? 'all' : paths.filter((path) => !written.has(path))
    if (missing.length === 0) return
    const args = ['checkout-index', '--force', '--quiet', ...(missing === 'all' ? ['--all'] : ['-z', '--stdin'])]
    const input = missing === 'all' ? {} : { input: Buffer.from(missing.map((path) => `${path}\0`).join(''), 'latin1') }
    await runGitIn(rootDir, { gitDir, args, env, ...input, signal }).catch((error: unknown) => {
      throw explained(error, place)
    })
    if (missing === 'all') hasAll = true
    else for (const path of missing) written.add(path)
  }
  return async (paths, signal) => {
    const mine = turn.then(() => write(paths, signal))
    turn = mine.catch(() => null)
    await mine
  }
}

function explained(error: unknown, place: TreePlace): unknown {
  if (!(error instanceof ExecError)) return error
  const message = `${nameTree(place)} could not be checked out: ${error.message}`
  return new SlipwayError('context-invalid', message, { cause: error })
}

/** A repository of our own that borrows the objects of another, and none of its settings. */
async function makeReadingRepository(directory: string, from: TreePlace): Promise<string> {
  await mkdir(join(directory, 'objects', 'info'), { recursive: true })
  await mkdir(join(directory, 'refs'))
  const format =
    from.commit.length === 40 ? '' : '\trepositoryformatversion = 1\n[extensions]\n\tobjectformat = sha256\n'
  await writeFile(join(directory, 'config'), `[core]\n\tbare = false\n${format}`)
  await writeFile(join(directory, 'HEAD'), 'ref: refs/heads/none\n')
  await writeFile(join(directory, 'objects', 'info', 'alternates'), `${resolve(from.gitDir, 'objects')}\n`)
  return directory
}

/** Checkouts that the builds of one process share while any of them is in use. */
export interface GitCheckouts {
  open(place: TreePlace, parentDir: string, signal: AbortSignal): Promise<GitCheckout>
}

export function createGitCheckouts(): GitCheckouts {
  const inUse = new Map<string, { checkout: GitCheckout; users: number }>()
  return {
    async open(place, parentDir, signal) {
      const name = JSON.stringify([place.gitDir, place.commit, parentDir])
      const fresh = inUse.has(name) ? null : await openGitCheckout(place, parentDir, signal)
      // Another build may have been first meanwhile.
      const found = inUse.get(name)
      const shared = found ?? (fresh === null ? null : { checkout: fresh, users: 0 })
      if (shared === null) return await this.open(place, parentDir, signal)
      if (found && fresh) await fresh[Symbol.asyncDispose]()
      inUse.set(name, shared)
      shared.users++
      let isOpen = true
      const close = async () => {
        if (!isOpen) return
        isOpen = false
        if (--shared.users > 0) return
        inUse.delete(name)
        await shared.checkout[Symbol.asyncDispose]()
      }
      return { ...shared.checkout, [Symbol.asyncDispose]: close }
    },
  }
}
