import { posix } from 'node:path'
import {
  type BuildRequest,
  DEFAULT_IMAGE_SETTINGS,
  DEFAULT_RUN_SETTINGS,
  dockerfileNames,
  hostPlatform,
  MAX_DOCKERFILE_BYTES,
  missingDockerfile,
} from '#buildkit-lite'
import type { Build } from '#domain/build'
import { SlipwayError } from '#domain/errors'
import { openGit } from './git-command.ts'
import type { OpenContext } from './run-build.ts'

/** What the builder is asked for, with the context it reads; disposing closes the context. */
export async function buildRequest(
  build: Build,
  repositoryDir: string,
  openContext: OpenContext,
  signal: AbortSignal,
): Promise<BuildRequest & AsyncDisposable> {
  const { directory, dockerfile, outside } = placesOf(build)
  const keepGitDir = /^(?:1|t|true)$/i.test(build.buildArgs['BUILDKIT_CONTEXT_KEEP_GIT_DIR'] ?? '')
  const source = { gitDir: repositoryDir, commit: build.commit, subdirectory: `/${directory}`, keepGitDir }
  const context = await openContext(dockerfile === null ? source : { ...source, dockerfile }, signal)
  return {
    context,
    namedContexts: {},
    dockerfile:
      dockerfile === null ? await readOutside(repositoryDir, build.commit, outside, signal) : { path: dockerfile },
    target: build.target,
    buildArgs: build.buildArgs,
    labels: {},
    platform: hostPlatform(),
    useCache: build.useCache,
    noCacheStages: [],
    pull: false,
    network: 'default',
    extraHosts: [],
    secrets: {},
    run: DEFAULT_RUN_SETTINGS,
    image: DEFAULT_IMAGE_SETTINGS,
    ...cacheScopesOf(build),
    subject: `${outside} in /${directory}`,
    [Symbol.asyncDispose]: () => context[Symbol.asyncDispose](),
  }
}

/** A stranger's build may use what trusted ones have cached, and leaves nothing that they would use. */
export function cacheScopesOf({ project, isFork }: Pick<Build, 'project' | 'isFork'>) {
  return isFork ? { cacheScope: `${project}/forks`, readScopes: [project] } : { cacheScope: project }
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

/** A Dockerfile that lies in the repository, but not in the context. */
async function readOutside(
  repositoryDir: string,
  commit: string,
  path: string,
  signal: AbortSignal,
): Promise<{ name: string; text: string }> {
  const git = openGit({ directory: repositoryDir, protocols: [] }, signal)
  let missing: unknown
  for (const name of dockerfileNames(path)) {
    const text = await git.raw(['cat-file', 'blob', `${commit}:${name}`]).catch((cause: unknown) => {
      signal.throwIfAborted()
      missing = cause
      return null
    })
    if (text === null) continue
    if (text.length <= MAX_DOCKERFILE_BYTES) return { name, text }
    throw new SlipwayError('dockerfile-invalid', `${name} has ${text.length} bytes, at most ${MAX_DOCKERFILE_BYTES}`)
  }
  throw missingDockerfile(path, missing)
}
