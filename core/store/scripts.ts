import { readFileSync } from 'node:fs'
import type { Redis } from 'ioredis'

const read = (name: string) => readFileSync(new URL(`./lua/${name}.lua`, import.meta.url), 'utf8')

/** Every script with what is prepended to it. Their headers state KEYS, ARGV and result. */
const SCRIPTS = {
  append: ['commit', 'append'],
  claim: ['commit', 'claim'],
  enqueue: ['enqueue'],
  'next-build': ['next-build'],
  renew: ['renew'],
  'read-events': ['read-events'],
  'create-project': ['create-project'],
  'swap-record': ['swap-record'],
  'record-delivery': ['record-delivery'],
  'request-rollout': ['request-rollout'],
  'extend-lock': ['extend-lock'],
  'write-object': ['write-object'],
} as const
type ScriptName = keyof typeof SCRIPTS

const commandOf = (name: string) => `slip-${name}`

/** Registers the scripts with a connection: they are sent once, and called by their hash from then on. */
export function defineScripts(redis: Redis): void {
  for (const [name, parts] of Object.entries(SCRIPTS))
    redis.defineCommand(commandOf(name), { lua: parts.map(read).join('') })
}

/** Runs a script; the result has the shape its header says. */
export async function runScript<Result>(
  redis: Redis,
  name: ScriptName,
  scriptKeys: readonly string[],
  args: readonly (string | number)[],
): Promise<Result> {
  const commands = redis as unknown as Record<string, (...args: (string | number)[]) => Promise<Result>>
  const command = commands[commandOf(name)]
  if (!command) throw new Error(`Script ${name} is not registered with this connection`)
  return command.call(redis, scriptKeys.length, ...scriptKeys, ...args)
}
