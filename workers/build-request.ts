import { posix } from 'node:path'
import { type BuildRequest, hostPlatform } from '#buildkit-lite'
import type { Build } from '#domain/build'
import { SlipwayError, SourceError } from '#domain/errors'
import { openGit } from './git-command.ts'
import type { OpenContext } from './run-build.ts'

const MAX_DOCKERFILE_BYTES = 4 * 1024 * 1024

/** What the builder is asked for, with the context it reads; disposing closes the context. */
export async function buildRequest(
  build: Build,
  repositoryDir: string,
  openContext: OpenContext,
  signal: AbortSignal,
): Promise<BuildRequest & AsyncDisposable> {
  const { directory, dockerfile, outside } = placesOf(build)
  const source = { gitDir: repositoryDir, commit: build.commit, subdirectory: `/${directory}` }
  const context = await openContext(dockerfile === null ? source : { ...source, dockerfile }, signal)
  return {
    context,
    namedContexts: {},
    dockerfile:
      dockerfile === null
        ? { name: outside, text: await readOutside(repositoryDir, build.commit, outside, signal) }
        : { path: dockerfile },
    target: build.target,
    buildArgs: build.buildArgs,
    labels: {},
    platform: hostPlatform(),
    useCache: build.useCache,
    pull: false,
    network: 'default',
    extraHosts: [],
    secrets: {},
    cacheScope: build.project,
    [Symbol.asyncDispose]: () => context[Symbol.asyncDispose](),
  }
}

/** Both paths are relative to the repository's root; a blank context is the Dockerfile's directory. */
export function placesOf(build: Pick<Build, 'dockerfile' | 'context'>): {
  directory: string
  dockerfile: string | null
  outside: string
} {
  const file = relative(build.dockerfile || 'Dockerfile')
  const directory = build.context.trim() === '' ? relative(posix.dirname(file)) : relative(build.context)
  const inside = posix.relative(`/${directory}`, `/${file}`)
  return { directory, dockerfile: inside.startsWith('../') ? null : inside, outside: file }
}

function relative(path: string): string {
  return posix.join('/', path).replace(/^\/+|\/+$/g, '')
}

async function readOutside(repositoryDir: string, commit: string, path: string, signal: AbortSignal): Promise<string> {
  const git = openGit({ directory: repositoryDir, protocols: [] }, signal)
  const text = await git.raw(['cat-file', 'blob', `${commit}:${path}`]).catch((cause: unknown) => {
    signal.throwIfAborted()
    const place = { file: path, line: 1, excerpt: '' }
    throw new SourceError('dockerfile-invalid', `There is no ${path} in the repository`, place, { cause })
  })
  if (text.length <= MAX_DOCKERFILE_BYTES) return text
  throw new SlipwayError('dockerfile-invalid', `${path} has ${text.length} bytes, at most ${MAX_DOCKERFILE_BYTES}`)
}
