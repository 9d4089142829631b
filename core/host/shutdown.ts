import type { Logger } from './log.ts'

/** A signal that aborts at the first SIGTERM or SIGINT; the second one ends the process at once. */
export function shutdownSignal(log: Logger): AbortSignal {
  const controller = new AbortController()
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(130)
      log.info({ signal: name }, 'stopping')
      controller.abort(new Error(`stopped by ${name}`))
    })
  }
  return controller.signal
}

/** Resolves when the signal aborts. */
export async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  const { promise, resolve } = Promise.withResolvers<void>()
  signal.addEventListener('abort', () => resolve(), { once: true })
  await promise
}
