import { nameOf } from '../objects.ts'
import type { ControllerParts } from './controller.ts'

const LIFE_MS = 60 * 60 * 1000
const SWEEP_INTERVAL_MS = 5 * 60 * 1000

/** Removes Events an hour after they were last seen. */
export function startEventExpiry({ objects, log }: ControllerParts): AsyncDisposable {
  const sweep = async () => {
    const oldest = Date.now() - LIFE_MS
    for (const event of objects.list('Event')) {
      if (Date.parse(event.lastTimestamp ?? event.metadata.creationTimestamp ?? '') < oldest) {
        await objects.delete(nameOf(event))
      }
    }
  }
  let sweeping: Promise<void> = Promise.resolve()
  const timer = setInterval(() => {
    sweeping = sweep().catch((error: unknown) => log.warn({ err: error }, 'old events could not be removed'))
  }, SWEEP_INTERVAL_MS)
  return {
    [Symbol.asyncDispose]: async () => {
      clearInterval(timer)
      await sweeping
    },
  }
}
