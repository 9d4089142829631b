import { Command } from 'commander'
import type { CommandContext } from './command-context.ts'

const ROLES = [
  { name: 'api', room: 'api', does: 'serve dashboard, API, git and registry on one port' },
  { name: 'worker', room: 'workers', does: 'take builds and rollouts from the queue' },
  { name: 'cluster', room: 'cluster', does: 'run the embedded single-node Kubernetes API' },
] as const

/** One role each, for many machines; every role is a program of its own. */
export function roleCommands(_context: CommandContext): Command[] {
  return ROLES.map(({ name, room, does }) =>
    new Command(name).description(does).action(async () => {
      await import(new URL(`../${room}/main.ts`, import.meta.url).href)
    }),
  )
}
