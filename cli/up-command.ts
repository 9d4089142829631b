import { Command } from 'commander'
import { VARIABLES } from '#host/config'
import type { CommandContext } from './command-context.ts'

/** `slipway up`, and the table of variables that every role reads. */
export function upCommand({ config, signal }: CommandContext): Command {
  const width = Math.max(...Object.keys(VARIABLES).map((name) => name.length))
  const variables = Object.entries(VARIABLES).map(([name, { help }]) => `  ${name.padEnd(width)}  ${help}`)
  return new Command('up')
    .description('run everything on this machine: redis, registry, api, cluster and worker')
    .option('--no-demo', 'do not push the example on an empty data directory')
    .addHelpText('after', `\nEnvironment:\n${variables.join('\n')}`)
    .action(async ({ demo }: { demo: boolean }) => {
      const print = (line: string) => void process.stdout.write(`${line}\n`)
      const { up } = await import('./up.ts')
      await up(config(), { demo, print }, signal)
    })
}
