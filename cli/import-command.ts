import { Command } from 'commander'
import type { CommandContext } from './command-context.ts'
import { importImage } from './import.ts'

/** `slipway import`: a root file system becomes a one-layer image in the registry. */
export function importCommand(context: CommandContext): Command {
  return new Command('import')
    .description('make a one-layer image of a root file system and push it to the registry')
    .argument('<source>', 'FILE.tar[.gz|.zst], a directory, or - for a tar on standard input')
    .argument('<name>', 'NAME[:TAG] in our registry, or HOST/NAME[:TAG]')
    .option(
      '-c, --change <instruction>',
      'apply an instruction to the config, such as CMD ["sh"]; repeatable',
      (value: string, previous: string[]) => [...previous, value],
      [],
    )
    .action(async (source: string, name: string, flags: { change: string[] }) => {
      const changes = flags.change
      const { reference, digest } = await importImage(context.config(), { source, name, changes }, context.signal)
      process.stdout.write(`${reference}@${digest}\n`)
    })
}
