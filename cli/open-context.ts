import { statSync } from 'node:fs'
import { join } from 'node:path'
import {
  type BuildContext,
  type FetchOptions,
  fetchGitContext,
  fetchUrlContext,
  openDirectoryContext,
  openTarContext,
  parseGitUrl,
} from '#buildkit-lite'
import { UsageError } from './exit-codes.ts'
import type { FoundDockerfile } from './find-dockerfile.ts'

const URL_PLACE = /^https?:\/\//i

/** Whether a context is fetched, so that a Dockerfile's path is meant inside it. */
export function isRemote(place: string): boolean {
  return place === '-' || isFetched(place)
}

/** A directory goes before an address that looks the same. */
function isFetched(place: string): boolean {
  if (statSync(place, { throwIfNoEntry: false })?.isDirectory()) return false
  return URL_PLACE.test(place) || parseGitUrl(place, { local: true }) !== null
}

/** What a URL, a repository or standard input is called in messages and in the log. */
export function kindOfPlace(place: string): 'directory' | 'stdin' | 'git' | 'url' {
  if (place === '-') return 'stdin'
  if (!isFetched(place)) return 'directory'
  return parseGitUrl(place, { local: true }) === null ? 'url' : 'git'
}

/** How a place is opened; an ignore file of the Dockerfile's own is only for a directory. */
export type PlaceOptions = FetchOptions & Pick<FoundDockerfile, 'ignoreFile'>

/** Where it is kept what the files of directories were, for builds to come. */
export function contentIndexDir(stateDir: string): string {
  return join(stateDir, 'content-index')
}

/** Opens CONTEXT of the command line: a directory, `-` for a tar on standard input, `…git#ref:subdir`, or a URL. */
export async function openContext(place: string, options: PlaceOptions, signal: AbortSignal): Promise<BuildContext> {
  const dockerfile = options.dockerfile === undefined ? {} : { dockerfile: options.dockerfile }
  const kind = kindOfPlace(place)
  switch (kind) {
    case 'stdin':
      return await openTarContext(process.stdin, { directory: options.workDir, ...dockerfile }, signal)
    case 'git': {
      const source = parseGitUrl(place, { local: true })
      if (!source) throw new UsageError(`build context ${place} is not a git repository`)
      return await fetchGitContext(source, options, signal)
    }
    case 'url':
      return await fetchUrlContext(place, options, signal)
    case 'directory':
      if (!statSync(place, { throwIfNoEntry: false })?.isDirectory())
        throw new UsageError(`build context ${place} is not a directory`)
      return await openDirectoryContext(place, {
        ...dockerfile,
        indexDir: contentIndexDir(options.tools.stateDir),
        ...(options.ignoreFile ? { ignoreFile: options.ignoreFile } : {}),
      })
    default:
      return kind satisfies never
  }
}
