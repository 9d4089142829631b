import { createHash } from 'node:crypto'

/** What the builds of one process do only once at a time, each under a name. Made once a process, handed to each build. */
export interface SharedWork {
  /**
   * Runs `work`, or joins the one of the same name that is under way. It is cancelled only when everybody who waits for
   * it has been.
   */
  share<T>(name: string, work: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T>
  /** Waits for the lock of this name; disposing releases it. */
  lock(name: string, signal: AbortSignal): Promise<Disposable>
  /** The lock, or null where it is held. */
  tryLock(name: string): Disposable | null
}

interface Flight {
  result: Promise<unknown>
  waiting: number
  controller: AbortController
}

export function createSharedWork(): SharedWork {
  const flights = new Map<string, Flight>()
  const locks = new Map<string, Promise<void>>()
  const takeOff = (name: string, work: (signal: AbortSignal) => Promise<unknown>): Flight => {
    const controller = new AbortController()
    const flight: Flight = { result: Promise.resolve(), waiting: 0, controller }
    flight.result = work(controller.signal).finally(() => {
      if (flights.get(name) === flight) flights.delete(name)
    })
    flight.result.catch(() => {})
    flights.set(name, flight)
    return flight
  }
  const take = (name: string): Disposable => {
    const { promise, resolve } = Promise.withResolvers<void>()
    locks.set(name, promise)
    return {
      [Symbol.dispose]: () => {
        if (locks.get(name) === promise) locks.delete(name)
        resolve()
      },
    }
  }
  return {
    share: async <T>(name: string, work: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> => {
      signal.throwIfAborted()
      const flight = flights.get(name) ?? takeOff(name, work)
      flight.waiting++
      const { promise: left, reject } = Promise.withResolvers<never>()
      const leave = (): void => {
        flight.waiting--
        // Others go on waiting, we do not; the last one waits for the end that it has ordered.
        if (flight.waiting > 0) return reject(signal.reason)
        // Whoever comes now starts anew instead of joining what was cancelled.
        if (flights.get(name) === flight) flights.delete(name)
        flight.controller.abort(signal.reason)
      }
      signal.addEventListener('abort', leave, { once: true })
      try {
        return (await Promise.race([flight.result, left])) as T
      } finally {
        signal.removeEventListener('abort', leave)
      }
    },
    lock: async (name, signal) => {
      for (let held = locks.get(name); held; held = locks.get(name)) await unlessAborted(held, signal)
      return take(name)
    },
    tryLock: (name) => (locks.has(name) ? null : take(name)),
  }
}

async function unlessAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const stop = (): void => reject(signal.reason)
  signal.addEventListener('abort', stop, { once: true })
  try {
    await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

/** A short file name for anything. */
export function fileNameFor(...parts: readonly string[]): string {
  return createHash('sha256').update(parts.join('\0')).digest('hex').slice(0, 40)
}
