/** Lets at most `limit` holders in at once. */
export interface Semaphore {
  acquire(signal: AbortSignal): Promise<Disposable>
}

export function createSemaphore(limit: number): Semaphore {
  let free = limit
  const waiting: (() => void)[] = []
  const release = (): void => {
    const next = waiting.shift()
    if (next) next()
    else free++
  }
  return {
    acquire: async (signal) => {
      signal.throwIfAborted()
      if (free > 0) free--
      else await turn(waiting, signal)
      let held = true
      return {
        [Symbol.dispose]: () => {
          if (held) release()
          held = false
        },
      }
    },
  }
}

async function turn(waiting: (() => void)[], signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const stop = (): void => {
    const at = waiting.indexOf(resolve)
    if (at >= 0) waiting.splice(at, 1)
    reject(signal.reason)
  }
  waiting.push(resolve)
  signal.addEventListener('abort', stop, { once: true })
  try {
    await promise
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
