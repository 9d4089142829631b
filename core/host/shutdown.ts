import type { Logger } from './log.ts'

/** npm passes a signal on that the terminal, or whoever killed the whole group, has sent to us already. */
const SAME_REQUEST_MS = 1000

/** A signal that aborts at the first SIGTERM or SIGINT; asking again, later, ends the process at once. */
export function shutdownSignal(log: Logger): AbortSignal {
  const controller = new AbortController()
  let askedAtMs = 0
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.on(name, () => {
      if (!controller.signal.aborted) {
        askedAtMs = performance.now()
        log.info({ signal: name }, 'stopping')
        controller.abort(new Error(`stopped by ${name}`))
      } else if (performance.now() - askedAtMs > SAME_REQUEST_MS) process.exit(130)
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
