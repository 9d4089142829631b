import { Command } from 'commander'
import {
  type BuildTools,
  type BuiltResult,
  buildAll,
  exportCaches,
  importCaches,
  withoutLostLayers,
} from '#buildkit-lite'
import { addBuildFlags, type BuildFlags } from './build-flags.ts'
import { readNames, type SendContext, sendOutputs } from './build-outputs.ts'
import { imageId, writeReports } from './build-reports.ts'
import { readCacheSources, readCacheTargets } from './cache-flags.ts'
import type { CommandContext } from './command-context.ts'
import { describeFailure, describeWarnings } from './describe-outcome.ts'
import { openEngine } from './engine.ts'
import { EXIT, UsageError } from './exit-codes.ts'
import { readImageSettings, readPlatforms } from './image-settings.ts'
import { openProgress, type ProgressForm, readProgressForm } from './open-progress.ts'
import type { Progress } from './progress.ts'
import { readOutputs } from './read-outputs.ts'
import { readAsked, readRequest } from './read-request.ts'
import { watchRegistry } from './watch-inputs.ts'

const USAGE = '[flags] PATH | URL | -'

/** `slipway build`: the same engine as the workers', with no service running. */
export function buildCommand(context: CommandContext): Command {
  const command = new Command('build')
    .description('build an image from a Dockerfile')
    .usage(USAGE)
    .argument('[context...]', 'a directory, a git URL (…#ref:subdir), or - for a tar on standard input')
  return addBuildFlags(command).action(async (places: string[], flags: BuildFlags) => {
    process.exitCode = await runBuild(context, onlyPlace(places), flags)
  })
}

function onlyPlace([place, ...more]: readonly string[]): string {
  if (place !== undefined && more.length === 0) return place
  throw new UsageError(
    `'slipway build' requires 1 argument, the build context${place === undefined ? '' : `; it has ${more.length + 1}`}\n\n` +
      `Usage:  slipway build ${USAGE}\n\nRun 'slipway build --help' for more information`,
  )
}

/** Everything that flags say, read before anything is opened. */
function readFlags(flags: BuildFlags) {
  readNames(flags.tag)
  const cacheTargets = readCacheTargets(flags.cacheTo)
  const inlineCache = cacheTargets.some(({ kind }) => kind === 'inline')
  const image = { ...readImageSettings(flags), ...(inlineCache ? { inlineCache } : {}) }
  return {
    form: readProgressForm(flags),
    asked: readAsked(flags),
    image,
    platforms: readPlatforms(flags.platform),
    outputs: readOutputs(flags, image),
    cacheSources: readCacheSources(flags.cacheFrom),
    cacheTargets,
  }
}
type ReadFlags = ReturnType<typeof readFlags>

async function runBuild(context: CommandContext, place: string, flags: BuildFlags): Promise<number> {
  const { signal } = context
  const read = readFlags(flags)
  const notes = readNotes(flags)
  const progress = openProgress(read.form, signal)
  try {
    const result = await buildAndSend(context, { place, flags, read, progress, note: (text) => notes.push(text) })
    await progress.close()
    if (read.outputs.length === 0)
      notes.push(`no --output was asked for: ${result.digest} stays in the builder’s cache`)
    printEnding(progress, { form: read.form, isLong: flags.debug, notes })
    if (read.form === 'quiet') process.stdout.write(`${imageId(result)}\n`)
    return EXIT.done
  } catch (error) {
    await progress.close()
    if (error instanceof UsageError) throw error
    if (signal.aborted) {
      process.stderr.write('ERROR: interrupted\n')
      return EXIT.interrupted
    }
    printEnding(progress, { form: read.form, isLong: flags.debug, notes })
    process.stderr.write(describeFailure(error, read.form === 'none' ? [] : progress.failures))
    return EXIT.failed
  }
}

interface Work {
  place: string
  flags: BuildFlags
  read: ReadFlags
  progress: Progress
  note: (text: string) => void
}

async function buildAndSend(context: CommandContext, work: Work): Promise<BuiltResult> {
  const { signal } = context
  const { place, flags, read, progress, note } = work
  const { platforms, asked, image, outputs } = read
  const config = context.config()
  await using stack = new AsyncDisposableStack()
  const opened = await readRequest({ place, flags, asked, dataDir: config.dataDir, progress }, stack, signal)
  await using engine = await openEngine(config, context.createLog('error'))
  const tools = { ...engine.tools, ...(await openCaches(engine.tools, work, signal)) }
  const sending: SendContext = { engine: { ...engine, tools }, progress, note }
  const { result, names } = await withoutLostLayers(async () => {
    const built = await buildAll(
      { ...opened, image, platform: platforms[0] },
      platforms,
      {
        ...tools,
        registry: watchRegistry(engine.registry, progress),
        report: (event, platform) => progress.show(event, platforms.length > 1 ? platformName(platform) : undefined),
      },
      signal,
    )
    const sent = await sendOutputs(outputs, built, sending, signal)
    await exportAll(built, tools, work, signal)
    return sent ?? { result: built, names: [] }
  })
  await writeReports(flags, result, names)
  return result
}

async function openCaches(
  tools: Omit<BuildTools, 'report'>,
  { read: { cacheSources }, progress, note }: Work,
  signal: AbortSignal,
): Promise<Pick<BuildTools, 'cache' | 'blobs'>> {
  if (cacheSources.length === 0) return tools
  return await progress.during('importing cache manifests', () => importCaches(cacheSources, tools, note, signal))
}

async function exportAll(
  { graphs }: BuiltResult,
  tools: Omit<BuildTools, 'report'>,
  { read: { cacheTargets }, progress, note }: Work,
  signal: AbortSignal,
): Promise<void> {
  const targets = cacheTargets.filter(({ kind }) => kind !== 'inline')
  if (targets.length === 0) return
  await progress.during('exporting cache', () => exportCaches(graphs, targets, { tools, warn: note }, signal))
}

function platformName({ os, architecture, variant }: { os: string; architecture: string; variant?: string }): string {
  return `${os}/${architecture}${variant ? `/${variant}` : ''}`
}

/** What has no effect here, but is no reason not to build. */
function readNotes(flags: BuildFlags): string[] {
  if (flags.load)
    throw new UsageError(
      '--load needs a Docker daemon, and there is none here. Use "-o type=docker | docker load" or --push instead',
    )
  const notes: string[] = []
  if (flags.builder !== undefined) notes.push(`--builder ${flags.builder} is ignored: there is one builder`)
  if (flags.cgroupParent !== undefined)
    notes.push(`--cgroup-parent ${flags.cgroupParent} is ignored: steps have control groups of Slipway's own`)
  return notes
}

/** Notes and warnings; `rawjson` has its own form of them, and quiet builds have none. */
function printEnding(
  { warnings }: Progress,
  { form, isLong, notes }: { form: ProgressForm; isLong: boolean; notes: readonly string[] },
): void {
  if (form === 'rawjson' || form === 'quiet' || form === 'none') return
  process.stderr.write(describeWarnings(warnings, isLong))
  for (const note of notes) process.stderr.write(`NOTE: ${note}\n`)
}
