import { Command, CommanderError } from 'commander'
import { messageOf } from '#domain/errors'
import { readConfig } from '#host/config'
import { createLogger } from '#host/log'
import { shutdownSignal } from '#host/shutdown'
import { buildCommand } from './build.ts'
import { plainArguments } from './build-flags.ts'
import type { CommandContext } from './command-context.ts'
import { doctorCommand } from './doctor.ts'
import { EXIT, UsageError } from './exit-codes.ts'
import { gcCommand } from './gc-command.ts'
import { importCommand } from './import-command.ts'
import { roleCommands } from './role-commands.ts'
import { upCommand } from './up-command.ts'

const context: CommandContext = {
  config: () => readConfig(),
  createLog: (level) => createLogger('slipway', level),
  signal: shutdownSignal(createLogger('slipway', 'silent')),
}

stopWhenUnheard()

const program = new Command('slipway')
  .description('A git push becomes a running container.')
  .showHelpAfterError('(--help lists what can be given)')
  .exitOverride()
const commands = [upCommand, buildCommand, importCommand, gcCommand, doctorCommand].map((make) => make(context))
for (const command of [...commands, ...roleCommands(context)])
  program.addCommand(command.copyInheritedSettings(program))

/** `build` knows the spellings of flags that docker knows. */
function readArguments(args: readonly string[]): string[] {
  return args[0] === 'build' ? plainArguments(args) : [...args]
}

try {
  await program.parseAsync(readArguments(process.argv.slice(2)), { from: 'user' })
} catch (error) {
  process.exitCode = exitCodeOf(error)
}
// Everything is cleaned up by now; a reader of standard output that has stopped reading is not waited for.
if (process.exitCode === EXIT.interrupted) process.stderr.write('', () => process.exit())

/** Says what went wrong in words, never in stack traces, and how the process ends. */
function exitCodeOf(error: unknown): number {
  // Commander has said what it had to say.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage
  if (context.signal.aborted) {
    process.stderr.write('interrupted\n')
    return EXIT.interrupted
  }
  process.stderr.write(`ERROR: ${messageOf(error)}\n`)
  return error instanceof UsageError ? EXIT.usage : EXIT.failed
}

/** A terminal that was closed and a reader that went away end a command as Ctrl-C does: nothing may be left running. */
function stopWhenUnheard(): void {
  const stop = (): void => void process.kill(process.pid, 'SIGTERM')
  process.once('SIGHUP', stop)
  for (const output of [process.stdout, process.stderr]) {
    let isLost = false
    output.on('error', () => {
      if (!isLost) stop()
      isLost = true
    })
  }
}
