import { randomUUID } from 'node:crypto'
import type { Redis } from 'ioredis'
import { Bell } from '#host/bell'
import type { Announcements } from './announcements.ts'
import type { StepLease, StepLeases } from './contract.ts'
import { channels, keys } from './keys.ts'
import { runScript } from './scripts.ts'

/** A worker that stops answering is taken for dead after this long, and its steps go on elsewhere. */
const LEASE_MS = 15_000
const RENEW_MS = 5000
/** In case nobody said that a lease is free. */
const LOOK_AGAIN_MS = 3000

export interface StepLeaseTimes {
  leaseMs: number
  renewMs: number
  lookAgainMs: number
}

/** One holder for each step of a scope: a key that is kept alive by its holder, and the only one who can free it. */
export function createStepLeases(
  redis: Redis,
  announcements: Announcements,
  times: StepLeaseTimes = { leaseMs: LEASE_MS, renewMs: RENEW_MS, lookAgainMs: LOOK_AGAIN_MS },
): StepLeases {
  const waiting = new Map<string, Set<Bell>>()
  announcements.listen(channels.stepFreed, (lock) => {
    // After an interruption any of them may be free.
    const bells = lock === null ? [...waiting.values()].flatMap((set) => [...set]) : (waiting.get(lock) ?? [])
    for (const bell of bells) bell.ring()
  })
  return {
    async take(scope, key, signal) {
      const lock = keys.stepLease(scope, key)
      const holder = randomUUID()
      const bell = new Bell()
      using _ = listen(waiting, lock, bell)
      for (;;) {
        signal.throwIfAborted()
        // One that is ours already was taken by a command whose answer got lost.
        const isTaken = (await redis.set(lock, holder, 'PX', times.leaseMs, 'NX')) === 'OK'
        if (isTaken || (await redis.get(lock)) === holder) return holdLease(redis, { lock, holder }, times)
        await bell.wait(AbortSignal.any([signal, AbortSignal.timeout(times.lookAgainMs)]))
      }
    },
  }
}

function holdLease(redis: Redis, { lock, holder }: { lock: string; holder: string }, times: StepLeaseTimes): StepLease {
  const extend = async (ms: number): Promise<boolean> =>
    (await runScript<number>(redis, 'extend-lock', [lock], [holder, ms])) === 1
  // Whoever fails to renew learns it from `confirm`.
  const timer = setInterval(() => void extend(times.leaseMs).catch(() => {}), times.renewMs)
  let isHeld = true
  return {
    confirm: async () => isHeld && (await extend(times.leaseMs)),
    async [Symbol.asyncDispose]() {
      if (!isHeld) return
      isHeld = false
      clearInterval(timer)
      try {
        if (await extend(0)) await redis.publish(channels.stepFreed, lock)
      } catch {
        // It ends by itself, and those who wait look again.
      }
    },
  }
}

function listen(waiting: Map<string, Set<Bell>>, lock: string, bell: Bell): Disposable {
  const bells = waiting.get(lock) ?? new Set()
  bells.add(bell)
  waiting.set(lock, bells)
  return {
    [Symbol.dispose]: () => {
      bells.delete(bell)
      if (bells.size === 0 && waiting.get(lock) === bells) waiting.delete(lock)
    },
  }
}
