import { createHash } from 'node:crypto'
import { createTeller, type Teller } from './teller.ts'

/** What the builds of one process do only once at a time, each under a name. Made once a process, handed to each build. */
export interface SharedWork {
  /**
   * Runs `work`, or joins the one of the same name that is under way. It is cancelled only when everybody who waits for
   * it has been.
   */
  share<T>(name: string, work: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T>
  /**
   * The same for work that tells how it goes on: everybody who waits hears all of it, from its beginning and in order,
   * before the result. Where whoever began it has left and it fails for want of what was theirs, another begins anew.
   */
  shareTold<T, News>(name: string, work: ToldWork<T, News>, follow: Follow<News>, signal: AbortSignal): Promise<T>
  /** Waits for the lock of this name; disposing releases it. */
  lock(name: string, signal: AbortSignal): Promise<Disposable>
  /** The lock, or null where it is held. */
  tryLock(name: string): Disposable | null
}

/** Awaited by the work, so that a slow listener slows it. */
export type Follow<News> = (news: News) => Promise<void>
type ToldWork<T, News> = (tell: Follow<News>, signal: AbortSignal) => Promise<T>

interface Flight {
  result: Promise<unknown>
  waiting: number
  controller: AbortController
}

export function createSharedWork(): SharedWork {
  const share = createShare()
  const tellings = new Map<string, Telling<unknown>>()
  const locks = new Map<string, Promise<void>>()
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
    share,
    shareTold: (name, work, follow, signal) => shareTold({ share, tellings }, { name, work, follow }, signal),
    lock: async (name, signal) => {
      for (let held = locks.get(name); held; held = locks.get(name)) await unlessAborted(held, signal)
      return take(name)
    },
    tryLock: (name) => (locks.has(name) ? null : take(name)),
  }
}

function createShare(): SharedWork['share'] {
  const flights = new Map<string, Flight>()
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
  return async <T>(name: string, work: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> => {
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
  }
}

/** What was told so far, and who has left that began it. */
interface Telling<News> {
  teller: Teller<News>
  starter: AbortSignal
}

async function shareTold<T, News>(
  { share, tellings }: { share: SharedWork['share']; tellings: Map<string, Telling<unknown>> },
  { name, work, follow }: { name: string; work: ToldWork<T, News>; follow: Follow<News> },
  signal: AbortSignal,
): Promise<T> {
  for (;;) {
    // What fails to be heard ends the waiting of the listener, and nobody else's.
    const deaf = new AbortController()
    const listening = AbortSignal.any([signal, deaf.signal])
    let current = tellings.get(name) as Telling<News> | undefined
    const begin = async (stop: AbortSignal): Promise<T> => {
      const own: Telling<News> = { teller: createTeller(), starter: listening }
      tellings.set(name, own)
      current = own
      try {
        return await work(own.teller.tell, stop)
      } finally {
        if (tellings.get(name) === own) tellings.delete(name)
      }
    }
    const result = share(name, begin, listening)
    // The work begins within the call, so that by now there is something to hear.
    const heard = current?.teller.hear(follow, (error) => deaf.abort(error))
    try {
      const value = await result
      await heard?.heardAll()
      deaf.signal.throwIfAborted()
      return value
    } catch (error) {
      await heard?.heardAll()
      listening.throwIfAborted()
      if (!current?.starter.aborted || current.starter === listening) throw error
    } finally {
      heard?.[Symbol.dispose]()
    }
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
