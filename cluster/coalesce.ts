/** Runs one piece of work at a time, and once for all the requests that came while it ran. */
export interface Coalesced {
  /** Resolves when a run that began after this call has ended. */
  request(): Promise<void>
  /** Whether a run is under way or asked for. */
  readonly isBusy: boolean
  /** Resolves when nothing runs and nothing is asked for. */
  settle(): Promise<void>
}

/** `work` begins in the next turn of the event loop, so that requests that come together are served together. */
export function coalesce(work: () => Promise<void>): Coalesced {
  let running: Promise<void> | null = null
  let waiting: Promise<void> | null = null
  const runNext = async () => {
    if (running) await running.catch(() => {})
    else await new Promise<void>((resolve) => setImmediate(resolve))
    waiting = null
    const run = work().finally(() => {
      if (running === run) running = null
    })
    running = run
    await run
  }
  return {
    request: () => {
      waiting ??= runNext()
      return waiting
    },
    get isBusy() {
      return running !== null || waiting !== null
    },
    settle: async () => {
      for (let pending = waiting ?? running; pending; pending = waiting ?? running) await pending.catch(() => {})
    },
  }
}
