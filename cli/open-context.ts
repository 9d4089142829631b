import { mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type BuildContext, openDirectoryContext, openGitContext, openTarContext } from '#buildkit-lite'
import { SlipwayError } from '#domain/errors'
import { ExecError, run } from '#host/exec'
import { UsageError } from './exit-codes.ts'

export interface ContextOptions {
  /** Where what comes from afar is kept while the build runs. */
  workDir: string
  /** Path of the Dockerfile inside the context, if it is there. */
  dockerfile?: string
}

const GIT_URL = /^(?:(?:https?|git|ssh|file):\/\/[^#]+|git@[^#]+)(?:#|$)/

/** Whether a context is fetched, so that a Dockerfile's path is meant inside it. */
export function isRemote(place: string): boolean {
  return place === '-' || GIT_URL.test(place)
}

/** Opens CONTEXT of the command line: a directory, `-` for a tar on standard input, or `…git#ref:subdir`. */
export async function openContext(place: string, options: ContextOptions, signal: AbortSignal): Promise<BuildContext> {
  const dockerfile = options.dockerfile === undefined ? {} : { dockerfile: options.dockerfile }
  if (place === '-') return await openTarContext(process.stdin, { directory: options.workDir, ...dockerfile }, signal)
  if (GIT_URL.test(place)) return await fetchContext(place, options, signal)
  if (!(await stat(place).catch(() => null))?.isDirectory())
    throw new UsageError(`build context ${place} is not a directory`)
  return await openDirectoryContext(place, dockerfile)
}

/** Fetches one commit, without history. */
async function fetchContext(place: string, options: ContextOptions, signal: AbortSignal): Promise<BuildContext> {
  const [url = '', fragment = ''] = place.split('#', 2)
  const [ref = '', subdirectory = ''] = fragment.split(':', 2)
  if (ref.startsWith('-')) throw new UsageError(`"${ref}" is no git ref`)
  const { workDir: gitDir, ...rest } = options
  await mkdir(gitDir, { recursive: true })
  const git = async (args: readonly string[]): Promise<string> =>
    (await run('git', ['--git-dir', gitDir, ...args], { signal })).stdout.toString().trim()
  try {
    await git(['init', '--quiet', '--bare'])
    await git([
      '-c',
      'protocol.ext.allow=never',
      'fetch',
      '--quiet',
      '--depth=1',
      '--no-tags',
      '--',
      url,
      ref || 'HEAD',
    ])
    const commit = await git(['rev-parse', '--verify', 'FETCH_HEAD^{commit}'])
    const checkoutRoot = join(gitDir, 'slip-checkouts')
    return await openGitContext({ gitDir, commit, subdirectory: subdirectory || '/', checkoutRoot, ...rest }, signal)
  } catch (error) {
    if (!(error instanceof ExecError)) throw error
    throw new SlipwayError('source-unavailable', `${place} cannot be fetched: ${error.message}`, { cause: error })
  }
}
