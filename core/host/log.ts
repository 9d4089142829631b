import { AsyncLocalStorage } from 'node:async_hooks'
import { type Logger, pino } from 'pino'

export type { Logger } from 'pino'

const context = new AsyncLocalStorage<Record<string, string>>()

/** The operators' log: JSON lines on standard error. Users' logs are BuildEvents, never this. */
export function createLogger(name: string, level = 'info'): Logger {
  return pino(
    {
      name,
      level,
      mixin: () => context.getStore() ?? {},
      redact: {
        paths: ['token', 'password', 'secret', 'authorization', '*.token', '*.password', '*.secret', '*.authorization'],
      },
    },
    pino.destination({ fd: 2, sync: false }),
  )
}

/** Runs `work` with fields that every log line written meanwhile carries, such as a build's id. */
export function withLogContext<T>(fields: Record<string, string>, work: () => T): T {
  return context.run({ ...context.getStore(), ...fields }, work)
}
