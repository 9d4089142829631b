import type { Config } from '#host/config'
import type { Logger } from '#host/log'

/** What `main.ts` hands to each command. */
export interface CommandContext {
  /** Reads the environment; a wrong value is an error. */
  config: () => Config
  createLog: (level: string) => Logger
  /** Aborts at SIGINT and SIGTERM. */
  signal: AbortSignal
}
