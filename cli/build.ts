import { Command } from 'commander'
import { addBuildFlags, type BuildFlags } from './build-flags.ts'
import { imageId } from './build-reports.ts'
import { answer, buildAndSend, type Work } from './carry-out-build.ts'
import type { CommandContext } from './command-context.ts'
import { describeFailure, describeWarnings } from './describe-outcome.ts'
import { EXIT, UsageError } from './exit-codes.ts'
import { openProgress, type ProgressForm } from './open-progress.ts'
import type { Progress } from './progress.ts'
import { readFlags, readNotes } from './read-flags.ts'

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

async function runBuild(context: CommandContext, place: string, flags: BuildFlags): Promise<number> {
  const { signal } = context
  const read = readFlags(flags)
  const notes = readNotes(flags)
  const progress = openProgress(read.form, signal)
  try {
    const work: Work = { place, flags, read, progress, note: (text) => notes.push(text) }
    if (read.call.method !== 'build') return await answer(context, work)
    const result = await buildAndSend(context, work)
    await progress.close()
    if (read.outputs.length === 0)
      notes.push(`no --output was asked for: ${result.digest} stays in the builder’s cache`)
    printEnding(progress, { form: read.form, isLong: flags.debug, isFailed: false, notes })
    if (read.form === 'quiet') process.stdout.write(`${imageId(result)}\n`)
    return EXIT.done
  } catch (error) {
    await progress.close()
    if (error instanceof UsageError) throw error
    if (signal.aborted) {
      process.stderr.write('ERROR: interrupted\n')
      return EXIT.interrupted
    }
    printEnding(progress, { form: read.form, isLong: flags.debug, isFailed: true, notes })
    // In `rawjson` everything that steps printed has been said.
    const isTold = read.form === 'none' || read.form === 'rawjson'
    process.stderr.write(describeFailure(error, isTold ? [] : progress.failures))
    return EXIT.failed
  }
}

/** Notes and warnings; `rawjson` has its own form of them, and quiet builds have none. */
function printEnding(
  { warnings }: Progress,
  {
    form,
    isLong,
    isFailed,
    notes,
  }: { form: ProgressForm; isLong: boolean; isFailed: boolean; notes: readonly string[] },
): void {
  if (form === 'rawjson' || form === 'quiet' || form === 'none') return
  process.stderr.write(describeWarnings(warnings, isLong))
  for (const note of notes) process.stderr.write(`NOTE: ${note}\n`)
  if (isFailed && warnings.length + notes.length > 0) process.stderr.write('\n')
}
