import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '#domain/errors'
import { type ChildProcess, exited, spawn } from '#host/exec'
import type { ChildState } from './child-states.ts'
import type { LogFile } from './log-file.ts'
import { startTimeOf } from './start-time.ts'

const FIRST_DELAY_MS = 500
const LONGEST_DELAY_MS = 30_000
/** A child that lived this long starts its back-off anew. */
const STEADY_MS = 60_000
/** What an ended child had printed is read for so long; something that it left behind may hold the pipe open. */
const LAST_WORDS_MS = 500

export interface ChildSpec {
  name: string
  command: readonly [string, ...string[]]
  cwd: string
  /** The command forks the real process into a new pid namespace, and takes no SIGTERM itself. */
  wrapped: boolean
  /** Resolves once the child can be used; its failure is a reason to try again. */
  ready?: (signal: AbortSignal) => Promise<void>
}

/** Told of every change of state, and of every end that nobody asked for. */
export interface ChildListener {
  changed: () => void
  ended: (how: string) => void
}

/**
 * One supervised process: started again, with growing pauses, until `stop`. It is a session of its own, so that a
 * Ctrl-C in the terminal reaches the supervisor alone, and the kernel ends it if the supervisor dies.
 */
export class SupervisedChild {
  readonly spec: ChildSpec
  readonly state: ChildState
  readonly #log: LogFile
  readonly #listener: ChildListener
  readonly #stopped = new AbortController()
  #child: ChildProcess | null = null
  #life: Promise<void> = Promise.resolve()

  constructor(spec: ChildSpec, log: LogFile, listener: ChildListener) {
    this.spec = spec
    this.#log = log
    this.#listener = listener
    const nothing = { pid: null, startTime: null, lastExit: null, delayMs: null }
    this.state = { name: spec.name, state: 'starting', restarts: 0, ...nothing }
  }

  /** Starts the child and its restarts; rejects if the first start ends before it is ready. */
  async start(signal: AbortSignal): Promise<void> {
    const firstEnd = this.#spawn()
    const gone = firstEnd.then((how) => {
      throw new Error(`${this.spec.name} ended at its start: ${how}`)
    })
    gone.catch(() => {})
    await Promise.race([this.#untilReady(signal), gone])
    this.#life = this.#keepAlive(firstEnd)
  }

  /** SIGTERM, then SIGKILL after `graceMs`; resolves when the process is gone. */
  async stop(graceMs: number): Promise<void> {
    this.#stopped.abort(new Error('stopping'))
    const child = this.#child
    if (child && child.exitCode === null && child.signalCode === null) {
      const gone = exited(child)
      const timer = setTimeout(() => child.kill('SIGKILL'), graceMs)
      this.#terminate(child)
      await gone
      clearTimeout(timer)
    }
    await this.#life
    this.#set({ state: 'stopped', pid: null, startTime: null })
  }

  #terminate(child: ChildProcess): void {
    if (!this.spec.wrapped) {
      child.kill('SIGTERM')
      return
    }
    const inner = childrenOf(child.pid)
    if (inner.length === 0) child.kill('SIGKILL')
    for (const pid of inner) terminate(pid)
  }

  async #keepAlive(firstEnd: Promise<string>): Promise<void> {
    let ended = firstEnd
    let failures = 0
    for (;;) {
      const startedAtMs = performance.now()
      const lastExit = await ended
      if (this.#stopped.signal.aborted) return
      failures = performance.now() - startedAtMs > STEADY_MS ? 1 : failures + 1
      const delayMs = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (failures - 1))
      const restarts = this.state.restarts + 1
      this.#set({ state: 'waiting', pid: null, startTime: null, lastExit, restarts, delayMs })
      this.#listener.ended(lastExit)
      await sleep(delayMs, undefined, { signal: this.#stopped.signal }).catch(() => {})
      if (this.#stopped.signal.aborted) return
      ended = this.#spawn()
      const over = new AbortController()
      void ended.then(() => over.abort())
      void this.#untilReady(over.signal).catch(() => {})
    }
  }

  async #untilReady(signal: AbortSignal): Promise<void> {
    const still = AbortSignal.any([signal, this.#stopped.signal])
    await this.spec.ready?.(still)
    if (!still.aborted) this.#set({ state: 'running' })
  }

  /** Starts the process. What it returns tells how the process ended, and never rejects. */
  async #spawn(): Promise<string> {
    const [file, ...args] = this.spec.command
    try {
      const child = spawn('setpriv', ['--pdeathsig', this.spec.wrapped ? 'KILL' : 'TERM', '--', file, ...args], {
        cwd: this.spec.cwd,
        detached: true,
      })
      for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => this.#log.write(chunk))
      const ended = exited(child)
      if (child.pid !== undefined) this.#child = child
      const startTime = child.pid === undefined ? null : startTimeOf(child.pid)
      this.#set({ pid: child.pid ?? null, startTime, state: 'starting', delayMs: null })
      const closed = once(child, 'close')
      closed.catch(() => {})
      const { code, signal } = await ended
      await Promise.race([closed, sleep(LAST_WORDS_MS)])
      return signal ? `killed by ${signal}` : `exit code ${code}`
    } catch (error) {
      return `it could not be started: ${messageOf(error)}`
    }
  }

  #set(change: Partial<ChildState>): void {
    Object.assign(this.state, change)
    this.#listener.changed()
  }
}

/** https://docs.kernel.org/filesystems/proc.html: /proc/PID/task/TID/children */
function childrenOf(pid: number | undefined): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
  } catch {
    return []
  }
}

function terminate(pid: number): void {
  try {
    process.kill(pid, 'SIGTERM')
  } catch {
    // It has ended by itself meanwhile.
  }
}
