import { setTimeout as sleep } from 'node:timers/promises'
import type { Container } from '../pod-kinds.ts'
import type { Instance } from './instance.ts'
import { type ProbeOutcome, runProbe } from './probe.ts'

/** The time a pod has to stop; a second, more impatient request makes it shorter. */
export interface Grace extends Disposable {
  readonly expired: AbortSignal
  readonly leftMs: number
  shorten(graceMs: number): void
}

/** What a hook may leave at least for the program itself, whatever it took. */
const LEAST_TERM_MS = 2000

export function startGrace(graceMs: number): Grace {
  const controller = new AbortController()
  const expire = () => controller.abort(new Error('grace period over'))
  let endsAtMs = Date.now() + graceMs
  let timer = setTimeout(expire, graceMs)
  return {
    expired: controller.signal,
    get leftMs() {
      return Math.max(0, endsAtMs - Date.now())
    },
    shorten: (shorterMs) => {
      const wishedMs = Date.now() + shorterMs
      if (wishedMs >= endsAtMs) return
      endsAtMs = wishedMs
      clearTimeout(timer)
      timer = setTimeout(expire, shorterMs)
    },
    [Symbol.dispose]: () => clearTimeout(timer),
  }
}

/** preStop, then the image's stop signal, then SIGKILL when the grace is over. Resolves when it has ended. */
export async function stopInstance(
  instance: Instance,
  { container, grace, onHookFailure }: { container: Container; grace: Grace; onHookFailure: (message: string) => void },
): Promise<void> {
  const hasEnded = new AbortController()
  void instance.ended.then(() => hasEnded.abort())
  const preStop = container.lifecycle?.preStop
  if (preStop && !grace.expired.aborted) {
    const waits = AbortSignal.any([grace.expired, hasEnded.signal])
    const outcome = await runHook(preStop, instance, { timeoutMs: grace.leftMs, signal: waits })
    if (outcome.kind === 'failure') onHookFailure(outcome.message)
  }
  await instance.kill(instance.stopSignal)
  const leastMs = preStop ? LEAST_TERM_MS : 0
  await Promise.race([instance.ended, graceOver(grace, leastMs, hasEnded.signal)])
  await instance.kill('SIGKILL')
  await instance.ended
}

async function graceOver(grace: Grace, leastMs: number, signal: AbortSignal): Promise<void> {
  const least = sleep(leastMs, undefined, { signal }).catch(() => {})
  const { promise, resolve } = Promise.withResolvers<void>()
  const either = AbortSignal.any([grace.expired, signal])
  if (either.aborted) resolve()
  either.addEventListener('abort', () => resolve(), { once: true })
  await Promise.all([least, promise])
}

type Hook = NonNullable<NonNullable<Container['lifecycle']>['preStop']>

/** A lifecycle hook; an HTTP hook only has to be answered. */
export async function runHook(
  hook: Hook,
  instance: Instance,
  { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal },
): Promise<ProbeOutcome> {
  if (!hook.sleep) return runProbe(hook, instance.target, timeoutMs, signal)
  await sleep(hook.sleep.seconds * 1000, undefined, { signal }).catch(() => {})
  return { kind: 'success' }
}
