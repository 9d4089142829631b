import { realpath } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { type BuildRequest, createSharedWork, openScratch } from '#buildkit-lite'
import { environmentValue } from '#host/config'
import { makeDataDir } from '#host/data-dir'
import { openLease } from '#host/disk-use'
import { openSys } from '#host/sys'
import type { BuildFlags } from './build-flags.ts'
import { dockerConfigFile, readProxyArgs } from './docker-proxies.ts'
import { builderDir } from './engine.ts'
import { DEFAULT_DOCKERFILE, findDockerfile } from './find-dockerfile.ts'
import { readPairs, splitList } from './flag-values.ts'
import { isRemote, kindOfPlace, openContext } from './open-context.ts'
import { type Progress, sizeOf } from './progress.ts'
import { hasFetched, readContexts } from './read-contexts.ts'
import { readSecrets } from './read-secrets.ts'
import { readHosts, readNetwork, readRunSettings } from './run-settings.ts'
import { openSshAgents } from './ssh-agents.ts'
import { watchContext } from './watch-inputs.ts'

/** The caches of what is built from the command line, apart from those of projects. */
const CACHE_SCOPE = 'local'

/** What of a request comes from flags alone, so that a wrong one is told before anything is opened. */
type AskedRequest = ReturnType<typeof readAsked>

export function readAsked(flags: BuildFlags) {
  const network = readNetwork(flags.network)
  return {
    target: flags.target ?? null,
    buildArgs: readBuildArgs(flags.buildArg),
    labels: readPairs('--label', flags.label),
    useCache: flags.cache,
    noCacheStages: splitList(flags.cacheFilter).map((stage) => stage.toLowerCase()),
    pull: flags.pull,
    network,
    extraHosts: readHosts(flags.addHost, network),
    run: readRunSettings(flags),
    cacheScope: CACHE_SCOPE,
  }
}

/** Of the environment only the date goes along unasked. */
function readBuildArgs(pairs: readonly string[]): Record<string, string> {
  const args = readPairs('--build-arg', pairs)
  const date = environmentValue('SOURCE_DATE_EPOCH')
  return date && args['SOURCE_DATE_EPOCH'] === undefined ? { ...args, SOURCE_DATE_EPOCH: date } : args
}

export interface RequestPlace {
  place: string
  flags: BuildFlags
  asked: AskedRequest
  dataDir: string
  progress: Progress
}

/** The request but for what is asked of images; what is opened for it is closed with `stack`. */
export async function readRequest(
  { place, flags, asked, dataDir, progress }: RequestPlace,
  stack: AsyncDisposableStack,
  signal: AbortSignal,
): Promise<Omit<BuildRequest, 'image' | 'platform'>> {
  const secrets = await readSecrets(flags.secret)
  const { dockerfile, ...ownIgnore } = await findDockerfile(place, flags.file, signal)
  if ('text' in dockerfile) await showDockerfile(dockerfile, progress)
  const isFetched = isRemote(place) || hasFetched(flags.buildContext)
  const workDir = isFetched ? await openWorkDir(dataDir, stack) : ''
  const stateDir = builderDir(dataDir)
  const sshAgents = await openSshAgents(flags.ssh, stack, signal)
  const fetching = { workDir, secrets, ...fetchOptions({ stateDir, sshAgents, buildArgs: asked.buildArgs }) }
  const inside = 'path' in dockerfile ? { dockerfile: dockerfile.path } : {}
  const context = await progress.during(contextTitle(place), async () =>
    stack.use(await openContext(place, { ...fetching, ...inside, ...ownIgnore }, signal)),
  )
  return {
    ...asked,
    buildArgs: { ...asked.buildArgs, ...(await readProxyArgs(dockerConfigFile(), asked.buildArgs)) },
    context: watchContext(context, 'path' in dockerfile ? dockerfile.path : null, progress),
    namedContexts: await readContexts(flags.buildContext, fetching, stack, signal),
    dockerfile,
    secrets,
    run: { ...asked.run, sshAgents },
    subject: await subjectOf(place, flags.file),
  }
}

interface Fetching {
  stateDir: string
  sshAgents: Readonly<Record<string, string>>
  buildArgs: Readonly<Record<string, string>>
}

/** The one who builds may fetch from anywhere, also from this machine. */
function fetchOptions({ stateDir, sshAgents, buildArgs }: Fetching) {
  const sshAgent = sshAgents['default'] ?? environmentValue('SSH_AUTH_SOCK') ?? null
  const keep = buildArgs['BUILDKIT_CONTEXT_KEEP_GIT_DIR'] ?? ''
  return {
    tools: { stateDir, sharedWork: createSharedWork(), access: { allowPrivate: true }, sshAgent },
    keepGitDir: /^(?:1|t|true)$/i.test(keep),
  }
}

const TITLES = {
  directory: () => '[internal] load .dockerignore',
  stdin: () => '[internal] load remote build context',
  url: () => '[internal] load remote build context',
  git: (place: string) => `[internal] load git source ${place}`,
}

/** One that is not read from the context is at hand already. */
async function showDockerfile({ name, text }: { name: string; text: string }, progress: Progress): Promise<void> {
  await progress.during(`[internal] load build definition from ${name}`, async (tell) => {
    await tell(`reading dockerfile: ${sizeOf(Buffer.byteLength(text))}`)
  })
}

function contextTitle(place: string): string {
  return TITLES[kindOfPlace(place)](place)
}

/** Where a context that is fetched lies; what a killed build left there goes with the next build. */
async function openWorkDir(dataDir: string, stack: AsyncDisposableStack): Promise<string> {
  await makeDataDir(dataDir)
  stack.use(await openLease(openSys(), dataDir))
  return stack.use(await openScratch(openSys(), builderDir(dataDir))).dir
}

/** The same Dockerfile of the same directory, or of any commit of the same repository. */
async function subjectOf(place: string, file: string | undefined): Promise<string> {
  if (!isRemote(place)) return JSON.stringify([await realpath(place), resolve(file ?? join(place, DEFAULT_DOCKERFILE))])
  return JSON.stringify([place === '-' ? process.cwd() : place.split('#', 1)[0], file ?? DEFAULT_DOCKERFILE])
}
