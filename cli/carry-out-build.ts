import {
  type BuildTools,
  type BuiltResult,
  buildAll,
  exportCaches,
  formatPlatform,
  importCaches,
  withoutLostLayers,
} from '#buildkit-lite'
import { answerCall } from './answer-call.ts'
import type { BuildFlags } from './build-flags.ts'
import { type SendContext, sendOutputs } from './build-outputs.ts'
import { writeReports } from './build-reports.ts'
import type { CommandContext } from './command-context.ts'
import { openEngine } from './engine.ts'
import type { Progress } from './progress.ts'
import type { ReadFlags } from './read-flags.ts'
import { readRequest } from './read-request.ts'
import { watchRegistry } from './watch-registry.ts'

/** One call of the command: what was asked for, and whom to tell. */
export interface Work {
  place: string
  flags: BuildFlags
  read: ReadFlags
  progress: Progress
  note: (text: string) => void
}

/** Builds, and sends the result wherever it is asked for. */
export async function buildAndSend(context: CommandContext, work: Work): Promise<BuiltResult> {
  const { signal } = context
  const { place, flags, read, progress, note } = work
  const { platforms, asked, image, outputs } = read
  const config = context.config()
  await using stack = new AsyncDisposableStack()
  const opened = await readRequest({ place, flags, asked, dataDir: config.dataDir, progress }, stack, signal)
  await using engine = await openEngine(config, context.createLog('error'))
  const tools = { ...engine.tools, ...(await openCaches(engine.tools, work, signal)) }
  const sending: SendContext = { engine: { ...engine, tools }, progress, note }
  const everyStage = read.cacheTargets.some((target) => target.kind !== 'inline' && target.mode === 'max')
  const { result, names } = await withoutLostLayers(async () => {
    const built = await buildAll(
      { ...opened, image, platform: platforms[0], platformGiven: flags.platform.length > 0, everyStage },
      platforms,
      {
        ...tools,
        registry: watchRegistry(engine.registry, progress),
        report: (event, platform) => progress.show(event, platforms.length > 1 ? formatPlatform(platform) : undefined),
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

/** Answers what `--check` and `--call` ask. */
export async function answer(context: CommandContext, { place, flags, read, progress }: Work): Promise<number> {
  const { asked, image, platforms, call } = read
  const config = context.config()
  await using stack = new AsyncDisposableStack()
  const opened = await readRequest({ place, flags, asked, dataDir: config.dataDir, progress }, stack, context.signal)
  const request = { ...opened, image, platform: platforms[0] }
  return await answerCall(call, request, { config, place, flags, progress }, context.signal)
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
