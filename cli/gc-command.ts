import { Command } from 'commander'
import type { CommandContext } from './command-context.ts'
import { EXIT } from './exit-codes.ts'
import { readBytes } from './flag-values.ts'
import { type DiskAnswer, runGc } from './gc.ts'
import { gcText } from './gc-text.ts'

const HELP = `
What is removed, in this order, until no more is kept than SLIPWAY_CACHE_MAX_GB and the disk has SLIPWAY_CACHE_FREE_GB
free, but never below SLIPWAY_CACHE_RESERVED_GB:
  1. downloads, fetched repositories and cache mounts that were not used for 48 hours, down to 512 MB of them
  2. what was not used for 60 days
  3. what was used longest ago; what is cheap to get again goes sooner

Nothing goes that a running build, a container or another process uses. It works whether Slipway runs or not; a running
worker does the same by itself after builds and every ten minutes.

Not touched: pushed repositories, and images in the registry (docker-registry garbage-collect is for those). What Redis
remembers of steps ends 30 days after its last use, and means nothing once its layer is gone.

Exit code: 0, or 1 where --verify found damage.`

interface GcFlags {
  dryRun?: true
  maxSize?: string
  all?: true
  verify?: true
  json?: true
}

/** `slipway gc`: removes what is kept beyond the limits, or checks all of it. */
export function gcCommand(context: CommandContext): Command {
  return new Command('gc')
    .description('remove what builds keep for the next ones beyond the limits, or check it')
    .option('--dry-run', 'say what would be removed, and remove nothing')
    .option('--max-size <size>', 'keep at most so much, such as 20g, instead of SLIPWAY_CACHE_MAX_GB')
    .option('--all', 'keep nothing that is not in use')
    .option('--verify', 'read everything that is kept, and remove only what is damaged')
    .option('--json', 'print one JSON document instead of a table')
    .addHelpText('after', HELP)
    .action(async (flags: GcFlags) => {
      const maxBytes = flags.maxSize === undefined ? undefined : readBytes('--max-size', flags.maxSize)
      const asked = { dryRun: flags.dryRun === true, all: flags.all === true, verify: flags.verify === true, maxBytes }
      const answer: DiskAnswer = await runGc(context.config(), asked, context.signal)
      process.stdout.write(flags.json ? `${JSON.stringify(answer, null, 2)}\n` : gcText(answer))
      process.exitCode = answer.kind === 'verified' && answer.damaged.length > 0 ? EXIT.failed : EXIT.done
    })
}
