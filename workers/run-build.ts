import {
  type BuildRequest,
  type BuildTools,
  type BuiltImage,
  openSharedLayers,
  pushByDigest,
  type Registry,
} from '#buildkit-lite'
import type { Build } from '#domain/build'
import type { ProjectName } from '#domain/ids'
import { parseImageReference } from '#domain/image-reference'
import { explainDiskFull } from '#host/disk-space'
import type { Logger } from '#host/log'
import type { Claim, Store } from '#store/contract'
import { buildRequest } from './build-request.ts'
import { endBuild } from './end-build.ts'
import type { GitMirrors } from './git-mirror.ts'
import type { LayerSharing } from './layer-sharing.ts'
import { maskOf } from './mask-secrets.ts'
import { moveTags } from './move-tags.ts'
import { reportSolve } from './report-solve.ts'
import { Reporter } from './reporter.ts'
import { reportEnded, requestRollouts } from './request-rollouts.ts'

/** What running builds needs of the process around it. */
export interface BuildDeps {
  store: Store
  /** The host[:port] that names of pushed images start with. */
  registryHost: string
  mirrors: GitMirrors
  openContext: OpenContext
  build: (request: BuildRequest, tools: BuildTools, signal: AbortSignal) => Promise<BuiltImage>
  /** A client that shows `token` to our own registry. */
  openRegistry: (token: string) => Registry
  tools: Omit<BuildTools, 'registry' | 'report' | 'now'>
  /** Sends layers where other workers find them; missing where none are sent. */
  sharing?: Pick<LayerSharing, 'share'>
  /** What Dockerfiles may do beyond their sandbox. */
  entitlements: BuildRequest['run']['entitlements']
  buildTimeoutMs: number
  /** Until it is disposed, nothing that is used is collected from the disk. */
  lease?: () => Promise<AsyncDisposable>
  now: () => number
  log: Logger
}

/**
 * Opens a directory of a commit in a bare repository; `dockerfile` is the one whose own ignore file comes first, and
 * `keepGitDir` says that `.git` is to be one of its files.
 */
export type OpenContext = (
  source: {
    gitDir: string
    commit: string
    subdirectory: string
    dockerfile?: string
    keepGitDir: boolean
    /** Whose it is, and where it was cloned from, for submodules; a repository that was pushed to us has no URL. */
    project?: ProjectName
    repository?: string | null
  },
  signal: AbortSignal,
) => Promise<BuildRequest['context']>

/**
 * Runs one claimed build to its end, whatever end that is. The signal's reason says why it was aborted: `cancelled` and
 * `timed-out` end the build, `unavailable` gives it back to the queue, `conflict` means that it is no longer ours.
 */
export async function runBuild(deps: BuildDeps, claim: Claim, signal: AbortSignal): Promise<void> {
  const { store, now } = deps
  const { build } = claim
  const token = await store.tokens.issue(grantOf(build), `build ${build.id}`, deps.buildTimeoutMs)
  const failed = new AbortController()
  await using reporter = new Reporter({
    append: (events) => store.builds.append(claim, events),
    mask: maskOf([token]),
    firstLine: build.logLines + 1,
    now,
    onFailure: (error) => failed.abort(error),
  })
  const all = AbortSignal.any([signal, failed.signal])
  using after = new DisposableStack()
  try {
    const image = await makeImage({ deps, claim, reporter, token, after }, all)
    reporter.event({ kind: 'finished', atMs: now(), status: 'succeeded', error: null })
    await reporter.drain()
    await followRollouts(deps, claim, image.rollouts)
  } catch (error) {
    const cause = all.aborted ? all.reason : await explainDiskFull(error, deps.tools.stateDir)
    await endBuild({ store, claim, reporter, now, log: deps.log }, cause)
  } finally {
    await store.tokens.revoke(token)
  }
}

interface Running {
  deps: BuildDeps
  claim: Claim
  reporter: Reporter
  token: string
  /** What is left to do when the build has ended. */
  after: DisposableStack
}

type Requested = Awaited<ReturnType<typeof requestRollouts>>

async function makeImage(running: Running, signal: AbortSignal): Promise<{ rollouts: Requested }> {
  const { deps, claim, reporter } = running
  const { build } = claim
  const { store, now } = deps
  await using _lease = await deps.lease?.()
  const project = await store.projects.get(build.project)
  const repository = project?.repository ?? null
  const { repositoryDir, message, author } = await deps.mirrors.fetch(
    { project: build.project, repository, ref: build.ref, commit: build.commit },
    signal,
  )
  reporter.event({ kind: 'source-fetched', atMs: now(), commit: build.commit, message, author })
  const registry = deps.openRegistry(running.token)
  const image = await solve(running, { repositoryDir, repository }, registry, signal).catch(async (error: unknown) => {
    signal.throwIfAborted()
    throw await deps.mirrors.explain(error, { repositoryDir, commit: build.commit })
  })
  const { manifestDigest: digest, sizeBytes } = image
  const name = `${deps.registryHost}/${build.project}`
  reporter.event({ kind: 'image-ready', atMs: now(), name, digest, sizeBytes })
  if (!build.push) return { rollouts: [] }

  // A worker that was presumed dead must push nothing: the store has the last word before the registry changes.
  await reporter.drain()
  const to = { ...parseImageReference(name), tag: null, digest: null }
  await pushByDigest(image, to, registry, signal)
  const tags = await moveTags({ image, to, registry }, build, store.tags, signal)
  reporter.event({ kind: 'pushed', atMs: now(), name, digest, tags })
  const rollouts = await requestRollouts(store.rollouts, build, { name, digest }, now())
  for (const event of rollouts) reporter.event(event)
  return { rollouts }
}

async function solve(
  { deps, claim, reporter, after }: Running,
  { repositoryDir, repository }: { repositoryDir: string; repository: string | null },
  registry: Registry,
  signal: AbortSignal,
): Promise<BuiltImage> {
  const { project } = claim.build
  const openContext: OpenContext = (source, stop) => deps.openContext({ ...source, project, repository }, stop)
  await using request = await buildRequest(claim.build, repositoryDir, openContext, signal)
  const report = reportSolve(reporter, claim.attempt, deps.now)
  const run = { ...request.run, entitlements: deps.entitlements }
  const home = { ...parseImageReference(`${deps.registryHost}/${project}`), tag: null, digest: null }
  const onLoss = (error: Error): void => deps.log.warn({ err: error, project }, 'a cached layer was lost')
  const { worthSharing, ...layers } = openSharedLayers({ ...deps.tools, registry }, home, onLoss, signal)
  // Only what counts for the project's other builds is put beside its images.
  if (request.cacheScope === project) after.defer(() => deps.sharing?.share(project, worthSharing()))
  return await deps.build({ ...request, run }, { ...deps.tools, ...layers, registry, report, now: deps.now }, signal)
}

/** The build has succeeded by now; that its rollouts cannot be followed is no reason to say otherwise. */
async function followRollouts({ store, now }: BuildDeps, { build }: Claim, requested: Requested): Promise<void> {
  const ended = await reportEnded(store.rollouts, requested, now())
  if (ended.length > 0) await store.builds.appendAfter(build.id, ended)
}

/** A build pushes to its own project only, and pulls what every build may start from. */
function grantOf(build: Build) {
  const actions: ('pull' | 'push')[] = build.push ? ['pull', 'push'] : ['pull']
  return { kind: 'registry' as const, repository: build.project, actions, alsoPull: ['library/*'] }
}
