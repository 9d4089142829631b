import { Command } from 'commander'
import pc from 'picocolors'
import type { CommandContext } from './command-context.ts'
import { EXIT } from './exit-codes.ts'

const SIGNS = { ok: pc.green('ok      '), degraded: pc.yellow('degraded'), missing: pc.red('missing ') } as const

/** `slipway doctor`: what this machine can and cannot do; fails where something that is needed is missing. */
export function doctorCommand(_context: CommandContext): Command {
  return new Command('doctor').description('say what this machine can and cannot do').action(async () => {
    const { checkHost } = await import('#sandbox')
    const checks = await checkHost()
    for (const { name, state, detail, remedy } of checks) {
      process.stdout.write(`${SIGNS[state]}  ${name}: ${detail}\n`)
      if (remedy) process.stdout.write(`          ${remedy}\n`)
    }
    process.exitCode = checks.some((check) => check.state === 'missing') ? EXIT.failed : EXIT.done
  })
}
