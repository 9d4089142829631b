import { readFile, realpath } from 'node:fs/promises'
import { basename, isAbsolute, join, relative, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { Command } from 'commander'
import {
  type BuildRequest,
  type BuiltImage,
  build,
  DEFAULT_IMAGE_SETTINGS,
  DEFAULT_RUN_SETTINGS,
  hostPlatform,
  missingDockerfile,
  openScratch,
  parsePlatform,
} from '#buildkit-lite'
import { messageOf, SlipwayError, SourceError } from '#domain/errors'
import { makeDataDir } from '#host/data-dir'
import { openSys } from '#host/sys'
import { addBuildFlags, type BuildFlags, readHosts, readPairs, readSecrets } from './build-flags.ts'
import { readNames, readOutputs, sendOutput, writeReports } from './build-outputs.ts'
import type { CommandContext } from './command-context.ts'
import { builderDir, openEngine } from './engine.ts'
import { EXIT, UsageError } from './exit-codes.ts'
import { isRemote, openContext } from './open-context.ts'
import { type Progress, SILENT } from './progress.ts'
import { createPlainProgress } from './progress-plain.ts'
import { createRawProgress } from './progress-rawjson.ts'
import { readContexts } from './read-contexts.ts'

/** The caches of what is built from the command line, apart from those of projects. */
const CACHE_SCOPE = 'local'
const DEFAULT_NAME = 'Dockerfile'

/** `slipway build`: the same engine as the workers', with no service running. */
export function buildCommand(context: CommandContext): Command {
  const command = new Command('build')
    .description('build an image from a Dockerfile')
    .argument('<context>', 'a directory, a git URL (…#ref:subdir), or - for a tar on standard input')
  return addBuildFlags(command).action(async (place: string, flags: BuildFlags) => {
    process.exitCode = await runBuild(context, place, flags)
  })
}

async function runBuild(context: CommandContext, place: string, flags: BuildFlags): Promise<number> {
  const { signal } = context
  const names = readNames(flags.tag)
  const outputs = readOutputs(flags)
  const config = context.config()
  await using stack = new AsyncDisposableStack()
  const progress = createProgress(flags)
  try {
    const request = await readRequest({ place, flags, dataDir: config.dataDir }, stack, signal)
    await using engine = await openEngine(config, context.createLog('error'))
    const image = await build(request, { ...engine.tools, report: (event) => progress.show(event) }, signal)
    for (const output of outputs) await sendOutput(output, image, { engine, progress, names }, signal)
    await writeReports(flags, image, names)
    printResult(image, flags)
    return EXIT.done
  } catch (error) {
    if (error instanceof UsageError) throw error
    if (signal.aborted) {
      process.stderr.write('interrupted\n')
      return EXIT.interrupted
    }
    process.stderr.write(describeFailure(error))
    return EXIT.failed
  }
}

function createProgress({ quiet, progress: form }: BuildFlags): Progress {
  if (quiet) return SILENT
  const options = { form, output: process.stderr, now: () => Date.now() }
  return form === 'rawjson' ? createRawProgress(options) : createPlainProgress(options)
}

/** What was asked for, read from the flags; what is opened for it is closed with `stack`. */
async function readRequest(
  { place, flags, dataDir }: { place: string; flags: BuildFlags; dataDir: string },
  stack: AsyncDisposableStack,
  signal: AbortSignal,
): Promise<BuildRequest> {
  const dockerfile = await findDockerfile(place, flags.file)
  const workDir = isRemote(place) ? await openWorkDir(dataDir, stack) : ''
  const inside = 'path' in dockerfile ? { dockerfile: dockerfile.path } : {}
  return {
    context: stack.use(await openContext(place, { workDir, ...inside }, signal)),
    namedContexts: await readContexts(flags.buildContext, stack),
    dockerfile,
    target: flags.target ?? null,
    buildArgs: readPairs('--build-arg', flags.buildArg),
    labels: readPairs('--label', flags.label),
    platform: readPlatform(flags.platform),
    useCache: flags.cache,
    noCacheStages: [],
    pull: flags.pull,
    network: flags.network,
    extraHosts: readHosts(flags.addHost),
    secrets: await readSecrets(flags.secret),
    run: DEFAULT_RUN_SETTINGS,
    image: DEFAULT_IMAGE_SETTINGS,
    cacheScope: CACHE_SCOPE,
    subject: await subjectOf(place, flags.file),
  }
}

/** Where a context that is fetched lies; what a killed build left there goes with the next build. */
async function openWorkDir(dataDir: string, stack: AsyncDisposableStack): Promise<string> {
  await makeDataDir(dataDir)
  return stack.use(await openScratch(openSys(), builderDir(dataDir))).dir
}

/** The same Dockerfile of the same directory, or of any commit of the same repository. */
async function subjectOf(place: string, file: string | undefined): Promise<string> {
  if (!isRemote(place)) return JSON.stringify([await realpath(place), resolve(file ?? join(place, DEFAULT_NAME))])
  return JSON.stringify([place === '-' ? process.cwd() : place.split('#', 1)[0], file ?? DEFAULT_NAME])
}

/** Relative to the working directory, as with `docker build`; it need not lie in the context. */
async function findDockerfile(place: string, file: string | undefined): Promise<BuildRequest['dockerfile']> {
  if (file === undefined) return { path: DEFAULT_NAME }
  if (file === '-') {
    if (place === '-') throw new UsageError('the context and the Dockerfile cannot both come from standard input')
    return { name: DEFAULT_NAME, text: await text(process.stdin) }
  }
  if (isRemote(place)) return { path: file }
  const inside = relative(resolve(place), resolve(file))
  if (inside !== '' && !inside.startsWith('..') && !isAbsolute(inside)) return { path: inside }
  const content = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') throw missingDockerfile(file, error)
    throw new SlipwayError('dockerfile-invalid', `failed to read dockerfile ${file}: ${messageOf(error)}`)
  })
  return { name: basename(file), text: content }
}

function readPlatform(platform: string | undefined): BuildRequest['platform'] {
  if (platform === undefined) return hostPlatform()
  try {
    return parsePlatform(platform, hostPlatform())
  } catch (error) {
    throw new UsageError(messageOf(error))
  }
}

function printResult(image: BuiltImage, flags: BuildFlags): void {
  if (flags.quiet) process.stdout.write(`${image.manifestDigest}\n`)
  else process.stderr.write(`built ${image.manifestDigest}\n`)
}

/** The place in the Dockerfile, if there is one, and then what went wrong. */
function describeFailure(error: unknown): string {
  const excerpt = error instanceof SourceError ? `${error.excerpt}\n` : ''
  return `${excerpt}ERROR: failed to build: ${messageOf(error)}\n`
}
