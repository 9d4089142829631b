import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import type { BuildRequest, BuildTools, BuiltImage, Registry } from '#buildkit-lite'
import { Digest } from '#domain/digest'
import { CommitSha, type ProjectName } from '#domain/ids'
import { formatImageReference } from '#domain/image-reference'
import { run } from '#host/exec'
import { createLogger } from '#host/log'
import type { Store } from '#store/contract'
import { openGitMirrors } from '../../../workers/git-mirror.ts'
import type { BuildDeps } from '../../../workers/run-build.ts'

export const digestOf = (text: string): Digest =>
  Digest.parse(`sha256:${createHash('sha256').update(text).digest('hex')}`)

/** An image without layers whose manifest is this text. */
export function imageOf(text: string): BuiltImage {
  return {
    manifestDigest: digestOf(text),
    manifest: Buffer.from(text),
    manifestMediaType: 'application/vnd.oci.image.manifest.v1+json',
    configDigest: digestOf('{}'),
    config: Buffer.from('{}'),
    layers: [],
    content: { open: async () => Readable.from([]) },
    baseRepository: null,
    sizeBytes: 3,
  }
}

/** A registry that notes what it was given, and the token that came with it. */
export function recordingRegistry() {
  const pushed: string[] = []
  const tokens: string[] = []
  const registry: Registry = {
    resolve: () => Promise.reject(new Error('nothing to resolve')),
    fetchManifest: () => Promise.reject(new Error('nothing to fetch')),
    openBlob: () => Promise.reject(new Error('nothing to open')),
    hasBlob: async () => false,
    pushBlob: async (_to, blob) => void pushed.push(blob.digest),
    pushManifest: async (to) => void pushed.push(formatImageReference(to)),
  }
  const open = (token: string) => {
    tokens.push(token)
    return registry
  }
  return { pushed, tokens, open }
}

/** A data directory with one pushed repository of one commit. */
export async function pushedRepository(
  project: ProjectName,
): Promise<{ dir: string; commit: CommitSha } & AsyncDisposable> {
  const dir = await mkdtemp(join(tmpdir(), 'slip-build-'))
  const work = join(dir, 'work')
  await mkdir(work)
  const git = (...args: string[]) => run('git', ['-C', work, '-c', 'user.name=Ann', '-c', 'user.email=a@b.c', ...args])
  await git('init', '--quiet', '-b', 'main')
  await writeFile(join(work, 'Dockerfile'), 'FROM scratch\n')
  await git('add', '.')
  await git('commit', '--quiet', '-m', 'First')
  await mkdir(join(dir, 'repos', project, '..'), { recursive: true })
  await run('git', ['clone', '--quiet', '--bare', work, join(dir, 'repos', `${project}.git`)])
  const commit = CommitSha.parse((await git('rev-parse', 'HEAD')).stdout.toString().trim())
  return { dir, commit, [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }) }
}

export type FakeBuild = (request: BuildRequest, tools: BuildTools, signal: AbortSignal) => Promise<BuiltImage>

/** Everything real but the builder, its tools and the registry. */
export function depsOf(
  store: Store,
  dir: string,
  build: FakeBuild,
  openRegistry: (token: string) => Registry,
): BuildDeps {
  const context = { [Symbol.asyncDispose]: async () => {} } as unknown as BuildRequest['context']
  return {
    store,
    registryHost: 'registry.test:5000',
    mirrors: openGitMirrors(dir),
    openContext: async () => context,
    entitlements: [],
    build,
    openRegistry,
    tools: {} as BuildDeps['tools'],
    buildTimeoutMs: 60_000,
    now: Date.now,
    log: createLogger('test', 'silent'),
  }
}
