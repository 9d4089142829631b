import type { ImageSettings } from '#buildkit-lite'
import type { BuildFlags } from './build-flags.ts'
import { UsageError } from './exit-codes.ts'
import { type Output, pushedNames, readOutput } from './read-output.ts'

/** Reads every `-o`; `--push` makes outputs of images pushes, or is one of its own. */
export function readOutputs(
  flags: Pick<BuildFlags, 'output' | 'push' | 'tag'>,
  settings: ImageSettings,
): readonly Output[] {
  const outputs = flags.output.map((text) => readOutput(text, settings, flags.tag))
  const all = flags.push ? withPush(outputs, settings, flags.tag) : outputs
  refuseTerminals(all)
  return all
}

function withPush(outputs: readonly Output[], settings: ImageSettings, tags: readonly string[]): readonly Output[] {
  const push = { byDigestOnly: false, isCanonical: false, isInsecure: false }
  if (!outputs.some(({ kind }) => kind === 'image'))
    return [...outputs, { kind: 'image', push, settings, names: pushedNames(tags) }]
  return outputs.map((output) =>
    output.kind === 'image' ? { ...output, push: output.push ?? push, names: pushedNames(output.names) } : output,
  )
}

/** To be asked before anything is built. */
function refuseTerminals(outputs: readonly Output[]): void {
  for (const output of outputs) if ('dest' in output) refuseTerminal(output)
  const streams = outputs.filter((output) => 'dest' in output && output.dest === '-')
  if (streams.length > 1) throw new UsageError('only one --output can go to standard output')
}

function refuseTerminal({ dest }: { dest: string }): void {
  if (dest === '-' && process.stdout.isTTY)
    throw new UsageError('an archive is not written to a terminal: redirect standard output, or say dest=FILE')
}
